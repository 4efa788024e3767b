-- Starts /bin/true and waits for its end, again and again, while the process holds so many
-- descriptors.
--
--   spawn.lua DESCRIPTORS TIMES
--
-- The child gets one end of a pipe, as most do, whose number is above all the others.

local xpio = require 'xpio'

local held = {}
for i = 1, tonumber(arg[1]) do held[i] = assert(xpio.fdopen(0)) end
local times = tonumber(arg[2])
local queue = xpio.tqueue()

local start = xpio.gettime()
for _ = 1, times do
  local read, write = assert(xpio.pipe())
  local process = assert(xpio.spawn({'/bin/true'}, {}, {[0] = 0, [1] = write, [2] = 2}))
  process:when_wait {_queue = queue}
  queue:wait()
  assert(process:try_wait() == 'exit')
  read:close()
end
print(times, xpio.gettime() - start)
