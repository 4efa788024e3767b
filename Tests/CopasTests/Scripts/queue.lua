-- oks: 50
local copas = require "copas"
local check = require "check"
local queue = copas.queue

check.ok("copas.queue is the module", queue == require "copas.queue")
local first, second = queue.new().name, queue:new().name
check.ok("default names", first:find("^copas_queue_%d+$") and second == "copas_queue_" .. first:match("%d+") + 1, first, second)
check.equal("a name", queue.new {name = "mine"}.name, "mine")
local good, err = pcall(queue.push, {})
check.ok("push to something else", not good and err:find("copas queue expected", 1, true) ~= nil, err)

-- outside
local q = queue.new()
good, err = pcall(q.pop, q)
check.ok("waiting outside is an error", not good and err:find("copas.queue.pop: not inside a Copas thread", 1, true) ~= nil, err)
check.equal("push outside", q:push("x"), true)
check.equal("pop outside", q:pop(), "x")
local item, why = q:pop(0)
check.ok("0 does not wait", item == nil and why == "timeout")

-- first in, first out, at any size
local function drain(size)
  for i = 1, size do q:push(i) end
  for i = 1, size do
    if q:pop() ~= i then return false end
    if i % 3 == 0 then q:push(-i) end
  end
  for i = 3, size, 3 do if q:pop() ~= -i then return false end end
  return q:get_size() == 0
end
for _, size in ipairs {1, 7, 8, 9, 100, 5000, 10} do check.ok("first in, first out: " .. size, drain(size)) end
q:push(nil) q:push(false) q:push(nil)
check.equal("nil is an item", q:get_size(), 3)
check.ok("like others", select("#", q:pop()) == 1 and q:pop() == false and q:pop() == nil and q:get_size() == 0)

-- threads that wait
local order = {}
local function popper(name, timeout)
  return copas.addthread(function()
    local got, reason = q:pop(timeout)
    order[#order + 1] = name .. tostring(got or reason)
  end)
end
check.run(function()
  for i = 1, 3 do popper(i) end
  copas.pause()
  q:push("a")
  q:push("b")
  check.equal("an item that was promised is in the queue until it is taken", q:get_size(), 2)
  item, why = q:pop(0)
  check.ok("but not for others", item == nil and why == "timeout")
  copas.pause()
  q:push("c")
  copas.pause()
  check.equal("in the order of coming", table.concat(order, " "), "1a 2b 3c")
  order = {}
  popper("short ", 0.005)
  local removed = popper("removed ")
  popper("long ")
  copas.pause(0.03)
  copas.removethread(removed)
  q:push("d")
  copas.pause()
  check.equal("not who gave up or was removed", table.concat(order, " "), "short timeout long d")
  removed = popper("removed ")
  copas.pause()
  q:push("e")
  copas.removethread(removed)
  check.equal("an item promised to a removed thread is for the next", q:pop(0), "e")
end)

-- workers
order = {}
check.run(function()
  local w = queue.new {name = "jobs"}
  local function work(job)
    order[#order + 1] = copas.getthreadname() .. "<" .. tostring(job)
    copas.pause(0.005)
    order[#order + 1] = tostring(job) .. ">"
  end
  local one = w:add_worker(work)
  check.equal("a worker is a thread", type(one), "thread")
  w:add_worker(work)
  local list = w:get_workers()
  check.ok("get_workers", #list == 2 and list[1] == one)
  for i = 1, 3 do w:push(i) end
  local done = copas.gettime()
  check.equal("finish", w:finish(), true)
  check.equal("when the workers have done all",
    table.concat(order, " "), "jobs:worker_1<1 jobs:worker_2<2 1> jobs:worker_1<3 2> 3>")
  check.ok("and not later", copas.gettime() - done < 30)
  check.equal("workers have ended", coroutine.status(one), "dead")
  local all = true
  for _, name in ipairs {"push", "pop", "get_size", "stop", "finish", "destroy", "add_worker", "get_workers"} do
    item, why = w[name](w)
    all = all and item == nil and why == "destroyed"
  end
  check.ok("every method says so from now on", all)
  check.equal("but it has its name", w.name, "jobs")
  good, err = pcall(q.add_worker, q, {})
  check.ok("a worker that is no function", not good and err:find("expected worker to be a function") ~= nil, err)
end)

-- stop
check.run(function()
  local w = queue.new()
  w:push(1)
  w:push(2)
  check.ok("stop", w:stop() and w:stop())
  item, why = w:push(3)
  check.ok("no more items", item == nil and why == "stopping")
  check.ok("what is there can be popped", w:pop() == 1 and w:pop() == 2)
  item, why = w:pop()
  check.ok("the last one is the end", item == nil and why == "destroyed")
  w = queue.new()
  local ended
  copas.addthread(function() ended = {w:pop()} end)
  copas.pause()
  w:stop()
  copas.pause()
  check.ok("the end of an empty queue comes at once", ended[1] == nil and ended[2] == "destroyed")
end)

-- finish
check.run(function()
  local w = queue.new()
  check.equal("an empty queue is finished", w:finish(), true)
  w = queue.new()
  w:push(1)
  local start = copas.gettime()
  item, why = w:finish(0.01, true)
  check.ok("finish gives up", item == nil and why == "timeout" and copas.gettime() - start >= 0.009)
  check.equal("without destroying", w:pop(), 1)
  w = queue.new()
  w:push(1)
  item, why = w:finish(0)
  check.ok("finish without waiting", item == nil and why == "timeout")
  item, why = w:pop()
  check.ok("has destroyed it", item == nil and why == "destroyed")
  w = queue.new()
  w:push(1)
  local results = {}
  for i = 1, 2 do copas.addthread(function() results[i] = w:finish() end) end
  copas.pause()
  w:pop()
  copas.pause()
  check.ok("any number of threads may wait for it", results[1] and results[2])
end)

-- workers that fail, or are removed
local failures, finished = {}, nil
check.run(function()
  local w = queue.new()
  copas.seterrorhandler(function(text, thread) failures[#failures + 1] = text .. copas.getthreadname(thread) end, true)
  for _ = 1, 2 do w:add_worker(function(job) error("job " .. job .. " ", 0) end) end
  local idle = w:add_worker(print)
  w:push(1)
  w:push(2)
  copas.pause(0.002)
  check.equal("an error ends the worker, and is reported",
    table.concat(failures, " "), "job 1 " .. w.name .. ":worker_1 job 2 " .. w.name .. ":worker_2")
  check.equal("they are no workers any more", #w:get_workers(), 1)
  copas.removethread(idle)
  copas.pause()
  copas.pause()
  check.equal("nor is one that is removed", #w:get_workers(), 0)
  local busy = w:add_worker(function() copas.pauseforever() end)
  w:push(3)
  copas.pause()
  copas.addthread(function() finished = w:finish() end)
  copas.pause()
  copas.removethread(busy)
end)
check.equal("nobody waits for one that is removed", finished, true)

-- A thread that was removed by name before its first turn.
check.run(function()
  local w = queue.new()
  copas.removethread(w:add_worker(print))
  check.equal("a worker removed before its first turn", #w:get_workers(), 0)
  check.equal("is not waited for", w:finish(60), true)
end)

collectgarbage() collectgarbage()
local before = collectgarbage("count")
check.run(function()
  for i = 1, 10000 do
    local w = queue.new()
    w.self = w
    w:push(w)
    w:push({})
    w:add_worker(function() end)
    if i % 10 == 0 then copas.pause() end
    w:stop()
  end
end)
for _ = 1, 10000 do local w = queue.new() w:push(w) end
collectgarbage() collectgarbage()
check.ok("queues leave nothing behind", collectgarbage("count") - before < 100, collectgarbage("count") - before)
local large = queue.new()
for i = 1, 100000 do large:push(i) end
for _ = 1, 100000 do large:pop() end
collectgarbage() collectgarbage()
check.ok("nor does having been large", collectgarbage("count") - before < 100, collectgarbage("count") - before)
