-- What the scripts of Copas use: `ok` and `equal`, sockets, threads, memory of the process.
local copas = require "copas"
local oks = require "oks"
local socket = require "socket"

local M = {ok = oks.ok, equal = oks.equal}

--- A listening socket on a free port of loopback.
function M.listener(host)
  local server = assert(socket.bind(host or "127.0.0.1", 0, 1024))
  local _, port = server:getsockname()
  return server, port
end

--- Both ends of a connection.
function M.pair()
  local server, port = M.listener()
  local client = assert(socket.connect("127.0.0.1", port))
  local accepted = assert(server:accept())
  server:close()
  return client, accepted
end

local held = {}

--- A port of loopback on which no program listens, or will listen: a socket that does not listen
--- holds it.
function M.freePort()
  local holder = socket.tcp4()
  assert(holder:bind("127.0.0.1", 0))
  held[#held + 1] = holder
  return (select(2, holder:getsockname()))
end

--- Resets the connection.
function M.reset(connection)
  connection:setoption("linger", {on = true, timeout = 0})
  connection:close()
end

--- Waits until the condition holds. On a loaded machine the system may be slow.
function M.await(condition)
  local deadline = socket.gettime() + 60
  while not condition() and socket.gettime() < deadline do copas.pause(0.001) end
end

--- Waits until there is something to read from the plain socket. All threads wait meanwhile.
function M.arrived(skt) socket.select({skt}, nil, 60) end

--- Runs a thread to its end, and all that it starts.
function M.run(body, ...)
  copas.addthread(body, ...)
  copas.loop()
end

--- What the default error handler prints while `body` runs.
function M.printed(body)
  local lines, original = {}, print
  print = function(...) lines[#lines + 1] = table.concat({...}, "\t") end
  local good, why = pcall(body)
  print = original
  if not good then error(why, 0) end
  return table.concat(lines, "\n")
end

--- The number of open descriptors of the process.
function M.descriptors()
  local name = os.tmpname()
  assert(os.execute("ls /proc/$PPID/fd >" .. name))
  local count = 0
  for _ in io.lines(name) do count = count + 1 end
  os.remove(name)
  return count
end

return M
