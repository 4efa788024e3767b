-- Threads on XPIO, in Lua: a dispatcher that knows nothing but the documented contract of tasks and
-- task queues. A thread is a coroutine and its task, the table by which all functions here know it.
--
--   dispatcher.run(body, ...)     runs a thread, and all that it starts, to the end; returns its results
--   dispatcher.start(body, ...)   a new thread
--   dispatcher.yield()            lets the others run
--   dispatcher.sleep(seconds)
--   dispatcher.join(thread)       waits for its end: its results, or its error, or nil, "killed"
--   dispatcher.kill(thread)       ends it wherever it waits; its to-be-closed variables are closed
local xpio = require "xpio"

local dispatcher = {}

-- A task waits in one place at a time: for its turn, for a time, for another thread, or in XPIO's
-- queue. Wherever that is, `_dequeue` takes it out again, and is nil while it runs.

local function unready(task)
  task.loop.ready[task._dequeuedata] = false
  task._dequeue, task._dequeuedata = nil, nil
end

local function makeready(task)
  local loop = task.loop
  loop.last = loop.last + 1
  loop.ready[loop.last] = task
  task._dequeue, task._dequeuedata = unready, loop.last
end

---------------------------------------------------------------- sleepers: a heap, the next one on top

local function put(heap, place, task)
  heap[place] = task
  task._dequeuedata = place
end

local function rise(heap, place, task)
  while place > 1 do
    local parent = place // 2
    if heap[parent].due <= task.due then break end
    put(heap, place, heap[parent])
    place = parent
  end
  put(heap, place, task)
end

local function sink(heap, place, task)
  while true do
    local child = 2 * place
    if heap[child + 1] and heap[child + 1].due < heap[child].due then child = child + 1 end
    if not heap[child] or task.due <= heap[child].due then break end
    put(heap, place, heap[child])
    place = child
  end
  put(heap, place, task)
end

local function unsleep(task)
  local heap, place = task.loop.sleepers, task._dequeuedata
  local last = table.remove(heap)
  if last ~= task then
    if last.due < task.due then rise(heap, place, last) else sink(heap, place, last) end
  end
  task._dequeue, task._dequeuedata = nil, nil
end

---------------------------------------------------------------- threads

local function finish(task, ...)
  task.results = table.pack(...)
  for joiner in pairs(task.joiners) do
    joiner:_dequeue()
    makeready(joiner)
  end
end

local function start(loop, body, ...)
  local task = {
    loop = loop, _queue = loop.queue, joiners = {}, arguments = table.pack(...),
    coroutine = coroutine.create(body),
  }
  makeready(task)
  return task
end

local function current(name)
  return xpio.getCurrentTask() or error("dispatcher." .. name .. ": not in a thread", 3)
end

function dispatcher.start(body, ...) return start(current("start").loop, body, ...) end

function dispatcher.yield()
  makeready(current("yield"))
  coroutine.yield()
end

function dispatcher.sleep(seconds)
  local task = current("sleep")
  local heap = task.loop.sleepers
  task.due = xpio.gettime() + seconds
  task._dequeue = unsleep
  rise(heap, #heap + 1, task)
  coroutine.yield()
end

local function unjoin(task)
  task._dequeuedata.joiners[task] = nil
  task._dequeue, task._dequeuedata = nil, nil
end

function dispatcher.join(thread)
  local task = current("join")
  if not thread.results then
    thread.joiners[task] = true
    task._dequeue, task._dequeuedata = unjoin, thread
    coroutine.yield()
  end
  if thread.failed then
    thread.loop.failures[thread] = nil -- another thread knows of it
    error(thread.results[1], 0)
  end
  return table.unpack(thread.results, 1, thread.results.n)
end

-- Closes a coroutine that will not go on; an error in its to-be-closed variables is the caller's.
local function close(task)
  local good, why = coroutine.close(task.coroutine)
  if not good then error(why, 0) end
end

function dispatcher.kill(thread)
  if thread.results then return end
  if thread._dequeue then thread:_dequeue() end
  finish(thread, nil, "killed")
  if thread == xpio.getCurrentTask() then coroutine.yield() end -- for ever
  close(thread)
end

---------------------------------------------------------------- the loop

local function resumed(task, good, ...)
  if not good then
    task.failed = true
    task.loop.failures[task] = true
    finish(task, debug.traceback(task.coroutine, tostring((...))))
    coroutine.close(task.coroutine)
  elseif coroutine.status(task.coroutine) == "dead" then
    finish(task, ...)
  elseif task.results then
    close(task) -- it has killed itself
  end
end

local function turn(task)
  task:_dequeue()
  xpio.setCurrentTask(task)
  local arguments = task.arguments
  if arguments then
    task.arguments = nil
    resumed(task, coroutine.resume(task.coroutine, table.unpack(arguments, 1, arguments.n)))
  else
    resumed(task, coroutine.resume(task.coroutine))
  end
end

-- Each thread that is ready has one turn; a thread that becomes ready meanwhile has it the next
-- time.
local function turns(loop)
  for place = loop.first, loop.last do
    local task = loop.ready[place]
    if task then turn(task) end
    loop.ready[place] = nil
    loop.first = place + 1
  end
end

local function waketime(loop)
  if loop.first <= loop.last then return 0 end
  local first = loop.sleepers[1]
  return first and math.max(0, first.due - xpio.gettime())
end

local function wakesleepers(loop)
  local now, sleepers = xpio.gettime(), loop.sleepers
  while sleepers[1] and sleepers[1].due <= now do
    local task = sleepers[1]
    task:_dequeue()
    makeready(task)
  end
end

function dispatcher.run(body, ...)
  local outer = xpio.getCurrentTask()
  local loop = {
    queue = assert(xpio.tqueue()), ready = {}, first = 1, last = 0, sleepers = {}, failures = {},
  }
  local main = start(loop, body, ...)
  repeat
    turns(loop)
    local tasks = loop.queue:wait(waketime(loop))
    for _, task in ipairs(tasks or {}) do makeready(task) end
    wakesleepers(loop)
  until not tasks and loop.first > loop.last
  xpio.setCurrentTask(outer)

  local failure = main.failed and main or next(loop.failures)
  if failure then error(failure.results[1], 0) end
  return table.unpack(main.results or {}, 1, main.results and main.results.n or 0)
end

return dispatcher
