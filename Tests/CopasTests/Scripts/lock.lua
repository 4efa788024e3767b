-- oks: 43
local copas = require "copas"
local check = require "check"
local lock = copas.lock

check.ok("copas.lock is the module", lock == require "copas.lock" and rawget(copas, "lock") == lock)
check.equal("a lock is a table", type(lock.new()), "table")
check.equal("fields of a program's own", (function() local l = lock.new() l.mine = 1 return l.mine end)(), 1)

for _, wrong in ipairs {-1, "x", {}} do
  local good, err = pcall(function() lock.new(wrong) end)
  check.ok("timeout of " .. type(wrong), not good and err:find(
    "^.-lock.lua:%d+: expected timeout %(1st argument%) to be a number greater than or equal to 0, got: ") ~= nil
    and err:find(tostring(wrong), 1, true) ~= nil, err)
end
for name, wrong in pairs {get = {}, release = 1, destroy = print} do
  local good, err = pcall(lock[name], wrong)
  check.ok(name .. " of something else", not good and err:find("copas lock expected", 1, true) ~= nil, err)
end

-- outside
local outside = lock.new()
check.equal("get outside a thread", outside:get(), 0)
check.equal("again", outside:get(), 0)
local good, err = pcall(coroutine.wrap(function() outside:get() end))
check.ok("waiting outside is an error", not good and err:find("copas.lock.get: not inside a Copas thread", 1, true) ~= nil, err)
check.ok("release", outside:release() and outside:release())
local none, why = outside:release()
check.ok("once too often", none == nil and why == "cannot release a lock not owned", why)

-- first come, first served; the time waited
local order, waits = {}, {}
check.run(function()
  local l = lock.new()
  check.equal("a free lock takes no time", l:get(), 0)
  check.equal("re-entrance", l:get(), 0)
  local waiting = 0
  for i = 1, 5 do
    copas.addthread(function()
      waiting = waiting + 1
      waits[i] = l:get()
      order[#order + 1] = i
      if i == 3 then copas.pause(0.01) end
      order[#order + 1] = -i
      assert(l:release())
    end)
  end
  -- What they wait counts from their turns on, which may come late.
  check.await(function() return waiting == 5 end)
  copas.pause(0.02)
  l:release()
  check.equal("released once of twice", #order, 0)
  copas.pause()
  check.equal("still nobody", #order, 0)
  check.equal("released", l:release(), true)
  local ok, reason = l:release()
  check.ok("it is another's at once", ok == nil and reason == "cannot release a lock not owned")
  copas.addthread(function() l:get() order[#order + 1] = "late" end)
end)
check.equal("in the order of coming", table.concat(order, " "), "1 -1 2 -2 3 -3 4 -4 5 -5 late")
check.ok("get returns the seconds waited", waits[1] >= 0.019 and waits[1] < 30 and waits[5] >= 0.029, waits[1], waits[5])

-- timeouts
check.run(function()
  local l = lock.new(0.01, true)
  l:get()
  local a, e, w = l:get(0)
  check.ok("0 does not wait", a == nil and e == "timeout" and w == 0, a, e, w)
  a, e, w = l:get()
  check.ok("the lock's timeout; not re-entrant", a == nil and e == "timeout" and w >= 0.01 and w < 30, a, e, w)
  a, e, w = l:get(0.03)
  check.ok("a timeout for one get", a == nil and e == "timeout" and w >= 0.03 and w < 30, a, e, w)
  local ok, text = pcall(l.get, l, -1)
  check.ok("a negative one", not ok and text:find("value must be greater than or equal to 0, got: -1", 1, true) ~= nil, text)
  check.ok("nobody is left in the line", l:release() and l:get(0) == 0)
  copas.addthread(function() order = {l:get(math.huge)} end)
  copas.pause()
  copas.pause(0.03)
  l:release()
  copas.pause()
  check.ok("math.huge waits for ever", order[1] >= 0.03, order[1], order[2])
end)
local stuck = lock.new(math.huge)
stuck:get()
copas.addthread(function() stuck:get() order = "never" end)
copas.loop()
check.ok("who waits for ever does not hold the loop", order ~= "never")

-- in the middle of the wait queue
order = {}
check.run(function()
  local l = lock.new()
  l:get()
  for i, timeout in ipairs {60, 0.005, 60, 0.005, 60} do
    copas.addthread(function()
      local ok, reason = l:get(timeout)
      order[#order + 1] = i .. tostring(ok and "ok" or reason)
      if ok then l:release() end
    end)
  end
  copas.pause(0.03)
  l:release()
end)
check.equal("timeouts in the middle", table.concat(order, " "), "2timeout 4timeout 1ok 3ok 5ok")

-- destroy
order = {}
check.run(function()
  local l = lock.new()
  l:get()
  for i = 1, 3 do
    copas.addthread(function()
      local ok, reason, wait = l:get(i == 2 and 0.005 or nil)
      order[#order + 1] = i .. tostring(ok) .. reason .. tostring(wait > 0 and wait < 30)
    end)
  end
  copas.pause(0.02)
  check.equal("destroy", l:destroy(), true)
  copas.pause()
  check.equal("wakes all", table.concat(order, " "), "2niltimeouttrue 1nildestroyedtrue 3nildestroyedtrue")
  for _, name in ipairs {"get", "release", "destroy"} do
    local ok, reason = l[name](l)
    check.ok(name .. " of a destroyed lock", ok == nil and reason == "destroyed")
  end
  -- handed over, then destroyed before the new owner runs
  local k = lock.new()
  k:get()
  local got
  copas.addthread(function() got = {k:get()} end)
  copas.pause(0.002)
  k:release()
  k:destroy()
  copas.pause(0.002)
  check.ok("destroyed between release and the next turn", got[1] == nil and got[2] == "destroyed")
end)

-- wakeup does not end a wait in a wait queue
check.run(function()
  local l = lock.new()
  l:get()
  local got
  local thread = copas.addthread(function() got = l:get() end)
  copas.pause(0.002)
  copas.wakeup(thread)
  copas.pause(0.002)
  check.equal("wakeup gives nobody the lock", got, nil)
  l:release()
  copas.pause(0.002)
  check.ok("release does", got)
end)

-- removed threads
check.run(function()
  local l = lock.new()
  l:get()
  order = {}
  local threads = {}
  for i = 1, 6 do
    threads[i] = copas.addthread(function()
      l:get()
      order[#order + 1] = i
      l:release()
    end)
  end
  copas.pause(0.002)
  copas.removethread(threads[1])
  copas.removethread(threads[3])
  copas.removethread(threads[6])
  copas.pause(0.002)
  l:release()
  copas.removethread(threads[2])
  copas.pause(0.005)
  check.equal("in the line, and with the lock already theirs", table.concat(order, " "), "4 5")
  check.equal("the lock is free again", l:get(0), 0)
end)

-- Other code resumes a thread that waits.
check.run(function()
  local l = lock.new()
  l:get()
  local thread = copas.addthread(function() l:get() end)
  copas.pause(0.002)
  local ok, text = coroutine.resume(thread)
  check.ok("resumed by a stranger",
    not ok and text:find("copas.lock.get: called in a coroutine that Copas does not run", 1, true) ~= nil, text)
  l:release()
  check.equal("nobody else is harmed", l:get(0), 0)
end)

-- memory
collectgarbage() collectgarbage()
local before = collectgarbage("count")
check.run(function()
  for i = 1, 20000 do
    local l = lock.new()
    l:get()
    copas.addthread(function() l:get() l:release() end)
    if i % 10 == 0 then copas.pause() end
    l:release()
  end
end)
collectgarbage() collectgarbage()
check.ok("locks and waits leave nothing behind", collectgarbage("count") - before < 100, collectgarbage("count") - before)
