-- Threads that sleep, each for a random time, from the first one's start to the last one's end.
--
--   sleepers.lua time | memory THREADS SECONDS
--
-- With `memory`, bytes of the process for each thread while all are asleep.

local copas = require 'copas'

local kind, count, longest = arg[1], tonumber(arg[2]), tonumber(arg[3])

local function resident()
  for line in io.lines '/proc/self/status' do
    local kilobytes = line:match '^VmRSS:%s+(%d+)'
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
end

math.randomseed(20)
local random = math.random
local awake = 0
local function sleeper()
  copas.pause(random() * longest)
  awake = awake + 1
end

local before, start, asleep = resident(), copas.gettime(), nil
for _ = 1, count do copas.addthread(sleeper) end
-- Its turn comes when all others have had their first.
copas.addthread(function() asleep = resident() end)
copas.loop()
assert(awake == count)

if kind == 'memory' then
  print((asleep - before) / count, 1)
else
  print(count, copas.gettime() - start)
end
