-- Threads that want the same lock, semaphore or queue: every operation has to wait.
--
--   coordination.lua lock | semaphore | queue OPERATIONS

local copas = require 'copas'

local kind, operations = arg[1], tonumber(arg[2])
local THREADS = 100

local contests = {}

-- A lock that is released is the next thread's at once, so the thread that had it waits again.
function contests.lock()
  local lock = copas.lock.new()
  assert(lock:get())
  for _ = 1, THREADS do
    copas.addthread(function()
      for _ = 1, operations // THREADS do
        assert(lock:get())
        assert(lock:release())
      end
    end)
  end
  copas.pause()
  lock:release()
end

function contests.semaphore()
  local semaphore = copas.semaphore.new(THREADS // 10)
  for _ = 1, THREADS do
    copas.addthread(function()
      for _ = 1, operations // THREADS do
        assert(semaphore:take())
        assert(semaphore:give())
      end
    end)
  end
  copas.pause()
  semaphore:give(THREADS // 10)
end

-- As many items at a time as there are threads that wait for one.
function contests.queue()
  local queue = copas.queue.new()
  for _ = 1, THREADS do
    copas.addthread(function()
      for _ = 1, operations // THREADS do assert(queue:pop()) end
    end)
  end
  for item = 1, operations do
    if item % THREADS == 1 then copas.pause() end
    queue:push(item)
  end
end

local start = copas.gettime()
copas.addthread(contests[kind])
copas.loop()
print(operations, copas.gettime() - start)
