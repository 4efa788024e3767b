-- oks: 36
local copas = require "copas"
local check = require "check"
local semaphore = copas.semaphore

check.ok("copas.semaphore is the module", semaphore == require "copas.semaphore")
for _, case in ipairs {{0}, {"1"}, {}, {-1}, {{}}} do
  local good, err = pcall(function() semaphore.new(case[1]) end)
  check.ok("a maximum of " .. tostring(case[1]):sub(1, 5), not good
    and err:find("^.-semaphore.lua:%d+: expected max") ~= nil and err:find(
      "expected max resources (1st argument) to be a number greater than 0, got: " .. tostring(case[1]), 1, true) ~= nil, err)
end
local good, err = pcall(function() semaphore.new(1, 0, -1) end)
check.ok("a negative timeout", not good and err:find(
  "expected timeout (2nd argument) to be a number greater than or equal to 0, got: -1", 1, true) ~= nil, err)
good, err = pcall(semaphore.take, {})
check.ok("take of something else", not good and err:find("copas semaphore expected", 1, true) ~= nil, err)

-- outside
local s = semaphore.new(3, 2)
check.equal("count is an integer", tostring(s:get_count()), "2")
check.equal("nobody waits", s:get_wait(), 0)
check.ok("take and give outside a thread", s:take() and s:take(1) and s:give(2) and s:take(2))
local ok, why = s:take(1, 0)
check.ok("0 does not wait", ok == nil and why == "timeout")
ok, why = s:take(4, 0)
check.ok("too many", ok == nil and why == "too many")
good, err = pcall(s.take, s)
check.ok("waiting outside is an error",
  not good and err:find("copas.semaphore.take: not inside a Copas thread", 1, true) ~= nil, err)
ok, why = s:give(9)
check.ok("more than the maximum are capped", ok == nil and why == "too many" and s:get_count() == 3)
check.ok("none", s:take(0) and s:give(0) and s:get_count() == 3)
s = semaphore.new(2, 0.5)
s:give(0.25)
check.equal("parts", s:get_count(), 0.75)

-- fairness
local order = {}
local function taker(sem, amount, timeout)
  return copas.addthread(function()
    local got, reason = sem:take(amount, timeout)
    order[#order + 1] = amount .. tostring(got and "ok" or reason)
  end)
end
check.run(function()
  local sem = semaphore.new(10)
  for _, amount in ipairs {5, 1, 3} do taker(sem, amount) end
  copas.pause()
  check.equal("get_wait", sem:get_wait(), 9)
  sem:give(4)
  copas.pause()
  check.equal("nobody overtakes one who wants more", #order, 0)
  check.equal("get_wait is what is missing", sem:get_wait(), 5)
  ok, why = sem:take(1, 0)
  check.ok("not even without waiting", ok == nil and why == "timeout")
  sem:give(2)
  copas.pause()
  check.equal("in the order of coming", table.concat(order, " "), "5ok 1ok")
  check.equal("what is left", sem:get_count(), 0)
  check.ok("give(get_wait()) serves all", sem:give(sem:get_wait()) and sem:get_wait() == 0)
  copas.pause()
  check.equal("the last", order[3], "3ok")
end)

-- timeouts
order = {}
check.run(function()
  local sem = semaphore.new(10, 2, 0.01)
  local start = copas.gettime()
  ok, why = sem:take(3)
  check.ok("the semaphore's timeout", ok == nil and why == "timeout" and copas.gettime() - start >= 0.009)
  check.equal("nothing was taken", sem:get_count(), 2)
  check.equal("who comes next need not wait", sem:take(1, 0), true)
  sem:give()
  taker(sem, 5)
  copas.pause(0.002)
  taker(sem, 2, 60)
  copas.pause(0.03)
  check.equal("one who gives up lets the next go on", table.concat(order, " "), "5timeout 2ok")
end)

-- removed threads
order = {}
check.run(function()
  local sem = semaphore.new(10)
  local big = taker(sem, 5)
  taker(sem, 1)
  copas.pause()
  sem:give(2)
  copas.removethread(big)
  copas.pause()
  copas.pause()
  check.equal("one who is removed lets the next go on", table.concat(order, " "), "1ok")
  check.equal("with what there is", sem:get_count(), 1)
  local granted = taker(sem, 3)
  copas.pause()
  sem:give(2)
  copas.removethread(granted)
  copas.pause()
  check.ok("what a removed one was given comes back", #order == 1 and sem:get_count() == 3, sem:get_count())
end)

-- destroy
order = {}
check.run(function()
  local sem = semaphore.new(10)
  for _ = 1, 3 do taker(sem, 9) end
  copas.pause()
  check.equal("destroy", sem:destroy(), true)
  copas.pause()
  check.equal("wakes all", table.concat(order, " "), "9destroyed 9destroyed 9destroyed")
  local all = true
  for _, name in ipairs {"take", "give", "get_count", "get_wait", "destroy"} do
    ok, why = sem[name](sem)
    all = all and ok == nil and why == "destroyed"
  end
  check.ok("every method says so from now on", all)
end)
collectgarbage() collectgarbage()
local before = collectgarbage("count")
check.run(function()
  for i = 1, 20000 do
    local sem = semaphore.new(5)
    taker(sem, 1)
    if i % 10 == 0 then copas.pause() end
    sem:give()
    order = {}
  end
end)
collectgarbage() collectgarbage()
check.ok("semaphores and waits leave nothing behind", collectgarbage("count") - before < 100, collectgarbage("count") - before)
