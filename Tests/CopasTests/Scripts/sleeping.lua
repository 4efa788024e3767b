-- oks: 19
local copas = require "copas"
local check = require "check"

local function elapsed(least, seconds) return seconds >= least - 0.001 and seconds < 30 end

check.run(function()
  check.ok("pause returns the time it took", elapsed(0.02, copas.pause(0.02)))
  check.ok("pause without argument", elapsed(0, copas.pause()))
  check.ok("negative pause", elapsed(0, copas.pause(-1)))
  check.ok("pause of nil", elapsed(0, copas.pause(nil)))
  check.ok("string", elapsed(0.01, copas.pause("0.01")))
  local start = copas.gettime()
  check.equal("sleep returns nothing", select("#", copas.sleep(0.02)), 0)
  check.ok("sleep takes as long", elapsed(0.02, copas.gettime() - start))
  check.equal("sleep without argument", select("#", copas.sleep()), 0)
  for _, f in ipairs {"pause", "sleep"} do
    local good, err = pcall(function() copas[f]({}) end)
    check.ok(f .. " of a table", not good and err:find("number expected, got table", 1, true) ~= nil, err)
  end
end)

-- by deadline
local order, first, last
repeat
  order, first = {}, nil
  for _, ms in ipairs {30, 10, 20, 5, 15} do
    copas.addthread(function()
      first = first or copas.gettime()
      last = copas.gettime()
      copas.pause(ms / 1000)
      order[#order + 1] = ms
    end)
  end
  copas.loop()
  -- Otherwise the deadlines may be in another order.
until last - first < 0.003
check.equal("wake in the order of deadlines", table.concat(order, " "), "5 10 15 20 30")

-- wakeup
local function wakes(what, sleep)
  local woken
  local sleeper = copas.addthread(function() woken = sleep() or true end)
  check.run(function()
    copas.pause(0.005)
    copas.wakeup(sleeper)
    copas.pause(0.005)
  end)
  check.ok(what, woken)
end
wakes("pauseforever is woken", copas.pauseforever)
wakes("negative sleep is woken", function() copas.sleep(-1) end)
wakes("long pause is woken", function() copas.pause(1000) end)

-- wakeup of threads that do not sleep
local a, b = check.pair()
local got
local reader = copas.addthread(function() got = copas.receive(a) end)
check.run(function()
  copas.pause(0.005)
  copas.wakeup(reader)
  copas.pause(0.005)
  check.equal("a reader is not woken", got, nil)
  b:send("data\n")
end)
check.equal("but reads", got, "data")
copas.wakeup(reader)
copas.wakeup(coroutine.create(print))
copas.wakeup(nil)
check.ok("wakeup of the dead, strangers, nil", true)

-- No thread can wake these: the loop ends all the same.
local late = false
copas.addthread(function() copas.pauseforever() late = true end)
copas.loop()
check.ok("pauseforever does not hold the loop", not late)

-- A deadline that is woken early, then another one.
local times = {}
local twice = copas.addthread(function()
  times[1] = copas.pause(1000)
  times[2] = copas.pause(0.02)
end)
copas.addthread(function() copas.pause(0.002) copas.wakeup(twice) end)
copas.loop()
check.ok("early wake-up, new deadline", times[1] < 30 and elapsed(0.02, times[2]), times[1], times[2])
