-- oks: 12
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local errors = {}
copas.seterrorhandler(function(err) errors[#errors + 1] = tostring(err) end, true)
warn "@off"

-- deep recursion
local function deep(n) return 1 + deep(n + 1) end
copas.addthread(function() deep(1) end)
copas.loop()
check.ok("deep recursion", #errors == 1 and errors[1]:find("stack overflow", 1, true), errors[1])
errors = {}
copas.addthread(function() string.rep("x", -1):gsub("", function() deep(1) end) end)
copas.loop()
check.ok("deep recursion under C", #errors == 1 and errors[1]:find("overflow", 1, true), errors[1])
errors = {}
local function nest(n) return coroutine.wrap(function() return nest(n + 1) end)() end
copas.addthread(function() nest(1) end)
copas.loop()
check.ok("deep coroutines", #errors == 1 and errors[1]:find("C stack overflow", 1, true), errors[1])
errors = {}
copas.addthread(function() local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x end)
copas.loop()
check.ok("a loop of metatables", #errors == 1 and errors[1]:find("loop", 1, true), errors[1])

-- __close
errors = {}
local closed = {}
local function guard(name, fails)
  return setmetatable({}, {__close = function(_, err)
    closed[#closed + 1] = name .. ":" .. tostring(err)
    if fails then error("close " .. name, 0) end
  end})
end
copas.addthread(function()
  local _ <close> = guard("a")
  copas.pause(0.001)
end)
copas.addthread(function()
  local _ <close> = guard("b")
  copas.pause(0.002)
  error("failed", 0)
end)
copas.addthread(function()
  local _ <close> = guard("c", true)
  copas.pause(0.003)
end)
copas.addthread(function()
  local _ <close> = setmetatable({}, {__close = function() copas.pause(0.001) closed[#closed + 1] = "waited" end})
  copas.pause(0.004)
end)
copas.loop()
check.equal("to-be-closed variables", table.concat(closed, " "), "a:nil b:failed c:nil waited")
check.equal("errors in __close", table.concat(errors, " "), "failed close c")

-- __gc
errors = {}
local collected = 0
check.run(function()
  for i = 1, 100 do
    setmetatable({}, {__gc = function()
      collected = collected + 1
      if i % 2 == 0 then error("in __gc") end
      pcall(copas.pause, 1)
      pcall(copas.loop)
      pcall(copas.step)
      if i % 10 == 1 then copas.addthread(function() collected = collected + 1000 end) end
    end})
  end
  collectgarbage()
  copas.pause(0.001)
  collectgarbage()
end)
check.equal("finalizers, failing and waiting", collected, 100 + 10 * 1000)
check.equal("harm nobody", #errors, 0)

-- garbage collection in threads
check.run(function()
  local server, port = check.listener()
  copas.addserver(server, function(skt)
    while true do
      local line = copas.receive(skt)
      if not line then return end
      collectgarbage("step")
      copas.send(skt, line .. "\n")
    end
  end)
  local done = 0
  for i = 1, 20 do
    copas.addthread(function()
      local c = socket.connect("127.0.0.1", port)
      for j = 1, 20 do
        c:send(("%d %d\n"):format(i, j))
        assert(copas.receive(c) == i .. " " .. j)
        if j % 5 == 0 then collectgarbage() end
      end
      c = nil
      done = done + 1
    end)
  end
  while done < 20 do copas.pause(0.001) end
  collectgarbage()
  check.equal("collecting in threads", done, 20)
  copas.removeserver(server)
end)

-- Sockets that the program has dropped are closed when they are collected.
collectgarbage()
collectgarbage()
local before = check.descriptors()
check.run(function()
  local server, port = check.listener()
  copas.autoclose = false
  copas.addserver(server, function(skt) copas.receive(skt) end)
  for _ = 1, 50 do
    local c = socket.connect("127.0.0.1", port)
    c:send("x\n")
  end
  copas.pause(0.02)
  copas.removeserver(server)
end)
copas.autoclose = true
collectgarbage()
collectgarbage()
check.equal("sockets are collected", check.descriptors(), before)

-- Modes of the collector.
collectgarbage("generational")
check.run(function()
  local a, b = check.pair()
  local good = 0
  for i = 1, 2000 do
    b:send(("%d\n"):format(i))
    if copas.receive(a) == tostring(i) then good = good + 1 end
  end
  check.equal("generational", good, 2000)
end)
collectgarbage("incremental")
check.ok("nothing is left", copas.finished())
