-- oks: 26
-- Calls where they cannot work are errors that say so.
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local a, b = check.pair()
local calls = {
  receive = function() return copas.receive(a) end,
  receivepartial = function() return copas.receivepartial(a) end,
  send = function() return copas.send(a, "x") end,
  connect = function() return copas.connect(socket.tcp(), "127.0.0.1", 1) end,
  sleep = function() return copas.sleep(1) end,
  pause = function() return copas.pause(1) end,
  pauseforever = function() return copas.pauseforever() end,
}
local names = {}
for name in pairs(calls) do names[#names + 1] = name end
table.sort(names)
-- receivepartial is a receive
local function named(err, name) return err:find("copas." .. name:gsub("partial", ""), 1, true) end

for _, name in ipairs(names) do
  local good, err = pcall(calls[name])
  check.ok(name .. " outside", not good and named(err, name) and err:find("not inside a Copas thread", 1, true), err)
  check.run(function()
    local ok, inner = coroutine.resume(coroutine.create(calls[name]))
    check.ok(name .. " in a coroutine of a thread",
      not ok and named(inner, name) and inner:find("a coroutine that Copas does not run", 1, true), inner)
  end)
end

-- under C functions that cannot be suspended
check.run(function()
  local errors = {}
  table.sort({1, 2, 3}, function(x, y)
    errors[1] = errors[1] or select(2, pcall(copas.sleep, 5))
    errors[2] = errors[2] or select(2, pcall(copas.receive, a))
    errors[3] = errors[3] or select(2, pcall(copas.pause))
    return x < y
  end)
  local yields = 0
  for i = 1, 3 do if errors[i] == "attempt to yield across a C-call boundary" then yields = yields + 1 end end
  check.equal("waiting under table.sort", yields, 3)
  local start = socket.gettime()
  copas.addthread(function() b:send("data\n") end)
  check.ok("does not disturb what follows", copas.receive(a) == "data" and socket.gettime() - start < 30)
  ("xyz"):gsub(".", function() for _ = 1, 50 do copas.send(a, "x") end end)
  check.equal("what need not wait works there", b:receive(150), ("x"):rep(150))
  local meta = setmetatable({}, {__index = function() return copas.pause(0.001) end})
  check.ok("metamethods of Lua can wait", meta.x >= 0)
  local sum = 0
  for _ in function() copas.pause() sum = sum + 1 return sum < 5 and sum or nil end do end
  check.equal("iterators can wait", sum, 5)
  local ok, err = pcall(function() copas.pause(0.001) error("after", 0) end)
  check.ok("pcall can hold a wait", not ok and err == "after")
end)

-- Other code that resumes our threads.
local log = {}
copas.seterrorhandler(function(err) log[#log + 1] = tostring(err) end, true)
local function stranger(what, body, message, resume)
  log = {}
  a:settimeout(0)
  a:receive("*a")
  local thread = copas.addthread(body)
  copas.step(0)
  copas.step(0)
  local good, err = resume(thread)
  check.ok(what, not good and tostring(err):find(message, 1, true), good, err)
  b:send("\n")
  copas.loop()
  check.arrived(a)
  check.ok(what .. " is reported", #log == 1 and log[1]:find("cannot resume dead coroutine", 1, true), #log, log[1])
end
stranger("a reader resumed by others", function() return copas.receive(a) end, "copas.receive", coroutine.resume)
stranger("a reader resumed with values", function() return copas.receive(a, 5, "pre") end, "copas.receive",
  function(t) return coroutine.resume(t, 1, {}, print) end)
stranger("a closed reader", function() return copas.receive(a) end, "nil",
  function(t) return nil, coroutine.close(t) and "nil" end)

-- closed or resumed before the first turn
log = {}
local ran = 0
local function count() ran = ran + 1 end
coroutine.close(copas.addthread(count))
coroutine.close(copas.addthread(count, 1, 2, 3))
copas.loop()
check.ok("closed before they start", ran == 0 and #log == 2, ran, #log)
log = {}
coroutine.resume(copas.addthread(count))
coroutine.resume(copas.addthread(count, 1, 2, 3))
coroutine.resume(copas.addthread(count, 1, coroutine.yield, coroutine.yield))
copas.loop()
check.ok("resumed before they start", ran >= 1, ran, #log)

-- a thread resumes another one, which waits
log = {}
local c, d = check.pair()
local sleeper = copas.addthread(function() copas.receive(c) end)
check.run(function()
  copas.pause(0.001)
  local good, err = coroutine.resume(sleeper)
  copas.pause(0.001)
  d:send("x\n")
  check.ok("a thread resumes a thread", not good and err:find("does not run", 1, true), err)
end)

-- what the loop runs is not resumed twice
log = {}
local nested
local outer = copas.addthread(function() nested = {pcall(copas.loop)} end)
coroutine.resume(outer)
copas.loop()
check.ok("a loop in a thread that a stranger runs", nested ~= nil)
