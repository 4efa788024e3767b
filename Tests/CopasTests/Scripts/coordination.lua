-- oks: 8
-- Locks, semaphores, queues, futures and timers under random use, with threads removed at random.
local copas = require "copas"
local check = require "check"

local seed = tonumber(os.getenv "SEED") or os.time()
print("seed", seed)
math.randomseed(seed)
copas.seterrorhandler(function(text) io.stderr:write(text, "\n") os.exit(1) end, true)

local function timeout() return ({0, 0.0005, 0.002, 1, math.huge})[math.random(5)] end
local function rest() if math.random(2) == 1 then copas.pause(math.random(0, 2) / 2000) end end

--- Runs `body` in so many threads, of which some are removed; returns how many came to their end.
local function crowd(size, body)
  local ended, threads = 0, {}
  for i = 1, size do
    threads[i] = copas.addthread(function()
      rest()
      body()
      ended = ended + 1
    end)
  end
  copas.addthread(function()
    for _ = 1, size / 4 do
      copas.removethread(threads[math.random(size)])
      rest()
    end
  end)
  return function() return ended end
end

-- A thread that is removed while it has a lock keeps it: these release it all the same.
local function with(value, release)
  return setmetatable({}, {__close = function() release(value) end})
end

for round = 1, 2 do
  local l, inside, gets = copas.lock.new(nil, round == 1), 0, 0
  crowd(400, function()
    for _ = 1, 5 do
      if l:get(timeout()) then
        -- Only the thread that has the lock can release it: not the one that removes it.
        gets = gets + 1
        inside = inside + 1
        assert(inside == 1, "two have the lock")
        for _ = 1, math.random(0, 2) do
          if round == 2 then
            assert(l:get() == 0)
            assert(l:release())
          end
        end
        inside = inside - 1
        assert(l:release())
      end
      rest()
    end
  end)
  copas.loop()
  check.ok("one at a time has a lock " .. round, gets > 100 and l:get(0) == 0, gets)
end

do
  local sem = copas.semaphore.new(7, 7)
  local out, takes = 0, 0
  crowd(400, function()
    for _ = 1, 5 do
      local n = math.random(0, 7)
      if sem:take(n, timeout()) then
        local _ <close> = with(n, function()
          out = out - n
          assert(sem:give(n))
        end)
        takes = takes + 1
        out = out + n
        assert(out <= 7 and sem:get_count() <= 7 - out)
        rest()
      end
    end
  end)
  copas.loop()
  check.ok("resources are neither lost nor made", takes > 100 and out == 0 and sem:get_count() == 7 and sem:get_wait() == 0,
    takes, out, sem:get_count(), sem:get_wait())
end

do
  local q = copas.queue.new()
  local pushed, popped, sum = 0, 0, 0
  crowd(200, function()
    for _ = 1, 10 do
      pushed = pushed + 1
      sum = sum + pushed
      assert(q:push(pushed))
      rest()
    end
  end)
  crowd(200, function()
    for _ = 1, 10 do
      local item, why = q:pop(timeout())
      if item then
        popped = popped + 1
        sum = sum - item
      else
        assert(why == "timeout")
      end
    end
  end)
  copas.addthread(function() copas.pause(0.05) end)
  copas.loop()
  local left = q:get_size()
  for _ = 1, left do sum = sum - q:pop(0) end
  check.ok("items are neither lost nor made", popped > 100 and pushed == popped + left and sum == 0, pushed, popped, left, sum)
end

do
  local q, done, pushed = copas.queue.new(), 0, 0
  local finished
  crowd(100, function()
    for _ = 1, 10 do
      if q:push(1) then pushed = pushed + 1 end
      rest()
    end
  end)
  for _ = 1, 20 do
    q:add_worker(function(n)
      done = done + n
      rest()
    end)
  end
  copas.addthread(function()
    copas.pause(0.01)
    finished = {q:finish()}
  end)
  copas.loop()
  check.ok("workers do all there is to do", finished[1] == true and done == pushed and done > 0, finished[2], done, pushed)
end

do
  local counts = {gets = 0, cancelled = 0}
  local futures = {}
  for i = 1, 200 do futures[i] = copas.future.addthread(function() rest() return i end) end
  crowd(200, function()
    for _ = 1, 5 do
      local i = math.random(200)
      if math.random(10) == 1 then futures[i]:cancel() end
      local good, value = futures[i]:get()
      assert(good and value == i or not good and value == "cancelled")
      counts[good and "gets" or "cancelled"] = counts[good and "gets" or "cancelled"] + 1
    end
  end)
  copas.loop()
  check.ok("futures", counts.gets > 100 and counts.cancelled > 0, counts.gets, counts.cancelled)
end

-- Every function with every kind of argument: errors, never worse.
copas.seterrorhandler(function() end, true)
local names = {"lock", "semaphore", "queue", "timer"}
local future = copas.future
local calls = 0
local function objects()
  return {
    copas.lock.new(0.001), copas.semaphore.new(3, 1, 0.001), copas.queue.new(), future.addthread(tostring),
    copas.timer.new {delay = 0.001, callback = function() end}, {}, setmetatable({}, copas.lock), copas.lock, nil,
  }
end
local plain = {
  true, false, 0, 1, -1, 0.001, 0 / 0, math.huge, -math.huge, math.mininteger, math.maxinteger, "", "1", {}, tostring, error,
  coroutine.yield, coroutine.create(print), {delay = 0, callback = error}, {delay = "x", callback = 1}, {name = {}},
}
local function try(any)
  local module = copas[names[math.random(#names)]]
  local functions = {future.addthread, future.addnamedthread,
    any(4) and any(4).get, any(4) and any(4).try, any(4) and any(4).cancel}
  for name, f in pairs(module) do
    -- A thread that pops or gets with math.huge is there until the end.
    if name ~= "__index" then functions[#functions + 1] = f end
  end
  local arguments, count = {}, math.random(0, 4)
  for i = 1, count do arguments[i] = any() end
  calls = calls + 1
  pcall(functions[math.random(#functions)], table.unpack(arguments, 1, count))
end
local output = check.printed(function()
  for _ = 1, 100 do
    local mine = objects()
    local function any(i)
      if i then return mine[i] end
      if math.random(2) == 1 then return mine[math.random(9)] end
      return plain[math.random(#plain)]
    end
    for _ = 1, 10 do try(any) end
    local threads = {}
    for i = 1, 20 do
      threads[i] = copas.addthread(function() for _ = 1, 3 do try(any) end end)
    end
    for _ = 1, 3 do copas.step(0) end
    for _, thread in ipairs(threads) do copas.removethread(thread) end
    copas.step(0)
  end
end)
check.ok("any argument", calls > 3000, calls, output)
collectgarbage() collectgarbage()
local after
check.run(function() after = copas.pause(0.001) end)
check.ok("service goes on", after)
os.exit(0, true)
