-- Each behaviour that a script finds as it should be is one line `ok`. The first line of a script
-- says how many there are.
local copas = require "copas"
local socket = require "socket"

local M = {}

--- Counts one behaviour; ends the script when it is not as it should be.
function M.ok(what, condition, ...)
  if not condition then
    local values = table.pack(...)
    for i = 1, values.n do values[i] = tostring(values[i]) end
    io.stderr:write(debug.traceback("failed: " .. what .. " " .. table.concat(values, ", "), 2), "\n")
    os.exit(1)
  end
  print("ok " .. what)
end

--- Counts one behaviour: the values are equal.
function M.equal(what, value, expected)
  M.ok(what, value == expected, value, "instead of", expected)
end

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

--- A port of loopback on which nobody listens, nor will: a socket that does not listen holds it.
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

--- Waits until the condition holds. What comes through the system may take its time on a loaded machine.
function M.await(condition)
  local deadline = socket.gettime() + 60
  while not condition() and socket.gettime() < deadline do copas.pause(0.001) end
end

--- Waits until there is something to read from the plain socket, and everybody else, too.
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
