-- oks: 20
local copas = require "copas"
local socket = require "socket"
local check = require "check"

check.equal("finished at first", copas.finished(), true)
check.equal("not running", copas.running, false)
copas.loop()
check.ok("an empty loop ends", true)

local ran
copas.addthread(function() ran = copas.running end)
check.equal("not finished with a thread", copas.finished(), false)
copas.loop()
check.equal("running inside the loop", ran, true)
check.equal("not running after", copas.running, false)

-- initializers
local got
copas.loop(function() got = "initializer" end)
check.equal("loop(function)", got, "initializer")
copas(function() got = "call" end)
check.equal("copas(function)", got, "call")
copas.loop(function() copas.pause(0.01) got = "timeout" end, 0.001)
check.equal("loop(function, timeout)", got, "timeout")
copas.addthread(function() copas.pause(0.01) got = "only timeout" end)
copas.loop(0.001)
check.equal("loop(timeout)", got, "only timeout")

-- step
check.equal("step times out", copas.step(0), false)
local start = socket.gettime()
check.equal("step waits", copas.step(0.02), false)
check.ok("as long", socket.gettime() - start >= 0.018)
local steps = {}
copas.addthread(function()
  steps[1] = true
  copas.pause()
  steps[2] = true
end)
copas.step(0)
check.ok("one turn a step", steps[1] and not steps[2])
copas.step(0)
check.ok("the next", steps[2] and copas.finished())
local a, b = check.pair()
local line
copas.addthread(function() line = copas.receive(a) end)
copas.step(0)
b:send("x\n")
local handled = copas.step(1)
while not line do handled = copas.step(1) or handled end
check.ok("step reports data", handled == true and line == "x")

-- inside out
local function message(body)
  local err
  check.run(function() err = select(2, pcall(body)) end)
  return err
end
local err = message(function() copas.loop() end)
check.ok("loop in a thread", err:find("copas.loop: ", 1, true) and err:find("runs already", 1, true), err)
err = message(function() copas.step() end)
check.ok("step in a thread", err:find("copas.step: ", 1, true) ~= nil, err)
err = message(function() coroutine.wrap(function() copas.loop() end)() end)
check.ok("loop in a coroutine of a thread", err:find("copas.loop: ", 1, true) ~= nil, err)

-- in a coroutine that Copas does not know
local inner
coroutine.wrap(function()
  copas.addthread(function() copas.pause(0.001) inner = true end)
  copas.loop()
end)()
check.ok("the loop runs in a coroutine", inner)
