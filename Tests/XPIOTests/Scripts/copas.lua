-- oks: 15
-- XPIO's blocking functions in threads of Copas.
local xpio = require "xpio"
local copas = require "copas"
local socket = require "socket"
local check = require "check"
local ok, equal, pack = check.ok, check.equal, table.pack

-- A server of XPIO, its clients are Copas' sockets; and the other way round.
local server = assert(xpio.socket("TCP"))
assert(server:bind("127.0.0.1") and server:listen())
local port = tonumber(server:getsockname():match ":(%d+)$")
local theirs = assert(socket.bind("127.0.0.1", 0))
local _, theirPort = theirs:getsockname()

local ticks, running = 0, true
copas.addthread(function()
  while running do
    copas.pause(0.001)
    ticks = ticks + 1
  end
end)
local log = {}
copas.addthread(function()
  for _ = 1, 3 do
    local connection = assert(server:accept())
    copas.addthread(function()
      while true do
        local data = connection:read(4096)
        if not data then break end
        connection:write(data:upper())
      end
      connection:close()
      log[#log + 1] = "closed"
    end)
  end
end)
copas.addserver(theirs, function(s)
  local line = copas.receive(s)
  copas.send(s, line:reverse() .. "\n")
end)
local done = 0
for i = 1, 3 do
  copas.addthread(function()
    local client = copas.wrap(socket.tcp())
    assert(client:connect("127.0.0.1", port))
    client:send("hello " .. i .. "\n")
    equal("Copas' client " .. i, client:receive(), "HELLO " .. i)
    client:close()
    done = done + 1
  end)
end
copas.addthread(function()
  local client = assert(xpio.socket("TCP"))
  check.results("connect", pack(client:connect("127.0.0.1:" .. theirPort)), true)
  client:write("abc\n")
  equal("XPIO's client", client:read(100), "cba\n")
  check.results("the end", pack(client:read(100)), nil)
  client:close()

  local before = ticks
  local input, held = xpio.pipe()
  local process = assert(xpio.spawn({"sh", "-c", "read line; exit 4"}, xpio.env, {[0] = input}))
  copas.addthread(function()
    while ticks <= before + 5 do copas.pause(0.001) end
    held:close()
  end)
  check.results("wait for a process", pack(process:wait()), "exit", 4)
  ok("while others run", ticks > before + 5, ticks - before)

  local read, write = xpio.pipe()
  local size = 1000000
  local _ = copas.addthread(function()
    write:write(("x"):rep(size))
    write:close()
  end)
  local total = 0
  while true do
    local data = read:read(5000)
    if not data then break end
    total = total + #data
  end
  equal("a pipe", total, size)

  -- A current task is no matter here: only Copas can resume its threads.
  local one, other = xpio.socketpair()
  xpio.setCurrentTask({_queue = xpio.tqueue()})
  copas.addthread(function()
    copas.pause(0.01)
    other:write("x")
  end)
  equal("a current task that is left over", one:read(1), "x")
  xpio.setCurrentTask(nil)

  local waiting = true
  copas.addthread(function()
    check.results("closing ends the wait", pack(one:read(1)), nil, "Bad file descriptor")
    waiting = false
  end)
  copas.pause(0.005)
  one:close()
  while waiting do copas.pause(0.001) end

  local a, b = xpio.socketpair()
  local victim = copas.addthread(function() a:read(1) end)
  copas.pause(0.005)
  copas.removethread(victim)
  copas.pause(0.005)
  b:write("y")
  equal("a thread that was removed reads nothing", a:read(1), "y")
  -- Threads that never have to wait give way.
  local function busy()
    local near, far = xpio.socketpair()
    for _ = 1, 300 do
      near:write("z")
      assert(far:read(1) == "z")
      log.busy = (log.busy or 0) + 1
    end
    near:close()
    far:close()
  end
  copas.addthread(busy)
  copas.addthread(busy)
  copas.pause(0)
  copas.pause(0)
  ok("threads that need not wait take turns", log.busy < 300, log.busy)
  while log.busy < 600 do copas.pause(0) end

  while done < 3 do copas.pause(0.001) end
  copas.removeserver(theirs)
  running = false
end)
copas.loop()
equal("all connections were closed", table.concat(log, " "), "closed closed closed")
-- Outside its threads, it is as without Copas.
local read = xpio.pipe()
check.raises("outside", "call it in one, or use 'try_read'", function() read:read(1) end)
