-- oks: 61
-- Task queues and the task contract.
local xpio = require "xpio"
local check = require "check"
local equal, ok, raises, pack = check.equal, check.ok, check.raises, table.pack

local queue = xpio.tqueue()
check.results("nothing to wait on", pack(queue:wait()), nil)
check.results("nor without a timeout", pack(queue:wait(false)), nil)
check.results("nor for ever", pack(queue:wait(math.huge)), nil)
ok("an empty queue is empty", queue:isEmpty() == true)
local start = xpio.gettime()
local none = queue:wait(0.03)
ok("a timeout gives an empty array", type(none) == "table" and #none == 0 and next(none) == nil)
ok("after that time", xpio.gettime() - start >= 0.03)
equal("a negative one is none", #queue:wait(-5), 0)
equal("zero as well", #queue:wait(0), 0)
equal("numbers in strings are numbers", #queue:wait("0"), 0)
raises("other timeouts", "(number expected, got boolean)", queue.wait, queue, true)
raises("no number", "(seconds expected, got nan)", queue.wait, queue, 0/0)
raises("no queue", "(xpio task queue expected, got table)", queue.wait, {})

local read, write = xpio.pipe()
local function task(name, q) return {_queue = q or queue, name = name} end
local reader = task "reader"
check.results("a when function returns nothing", pack(read:when_read(reader)))
ok("the task is scheduled", type(reader._dequeue) == "function" and reader._dequeuedata ~= nil)
ok("the queue is not empty", queue:isEmpty() == false)
equal("it is not ready", #queue:wait(0.01), 0)
ok("and is still scheduled", reader._dequeue and not queue:isEmpty())
raises("once only", "xpio: task scheduled twice", read.when_read, read, reader)
raises("nor elsewhere", "xpio: task scheduled twice", write.when_write, write, reader)
write:try_write("x")
local ready = queue:wait(60)
ok("it becomes ready", #ready == 1 and ready[1] == reader)
ok("and has left the queue", reader._dequeue == nil and queue:isEmpty())
equal("its other fields are its own", reader.name, "reader")

-- What is there is there, however often one asks.
for round = 1, 3 do
  read:when_read(reader)
  ready = queue:wait(60)
  ok("ready as long as nobody reads, " .. round, #ready == 1 and ready[1] == reader)
end
read:try_read(1)
read:when_read(reader)
equal("read to the last byte it is not", #queue:wait(0.01), 0)
reader:_dequeue()
ok("taken out again", reader._dequeue == nil and queue:isEmpty())
write:try_write("y")
equal("it is not returned", #queue:wait(0.01), 0)
read:when_read(reader)
equal("until it waits again", #queue:wait(60), 1)
read:try_read(10)

-- Part of what is there.
write:try_write("abc")
read:when_read(reader)
queue:wait(60)
read:try_read(1)
read:when_read(reader)
equal("what was left is ready", #queue:wait(60), 1)
read:try_read(10)

-- Both directions.
local near, far = check.pair()
local r, w = task "r", task "w"
near:when_read(r)
near:when_write(w)
ready = queue:wait(60)
ok("writable, and not readable", #ready == 1 and ready[1] == w)
far:try_write("hello")
near:when_write(w)
ready = queue:wait(60)
if #ready == 1 then table.move(queue:wait(60), 1, 1, 2, ready) end
ok("both", #ready == 2 and ready[1] ~= ready[2] and (ready[1] == r or ready[2] == r))
near:try_read(10)

-- Several tasks for the same: one at a time, in their order.
local waiting = {}
for i = 1, 5 do
  waiting[i] = task(i)
  near:when_read(waiting[i])
end
waiting[2]:_dequeue()
far:try_write("12345")
for _, i in ipairs {1, 3, 4} do
  ready = queue:wait(60)
  ok("one at a time: " .. i, #ready == 1 and ready[1] == waiting[i], #ready)
  near:try_read(1)
end
near:try_read(10)
equal("who finds nothing waits on", #queue:wait(0.01), 0)
far:try_write("x")
ready = queue:wait(60)
ok("until there is something", #ready == 1 and ready[1] == waiting[5])
near:try_read(10)

-- A socket that is closed, or whose peer is.
for i = 1, 3 do near:when_read(waiting[i]) end
near:when_write(w)
w:_dequeue()
far:close()
ready = queue:wait(60)
ok("a peer's end is an event", #ready == 1 and ready[1] == waiting[1])
ready = queue:wait(60)
ok("for everybody", #ready == 1 and ready[1] == waiting[2])
near:when_read(w)
near:close()
ready = queue:wait(60)
ok("closing makes all ready", #ready == 2 and ready[1] == waiting[3] and ready[2] == w)
near:when_read(r)
ready = queue:wait(60)
ok("a closed socket is ready", #ready == 1 and ready[1] == r)
near:when_write(r)
ok("not empty while nobody has taken it", not queue:isEmpty())
r:_dequeue()
ok("it can be taken out before", queue:isEmpty() and #queue:wait(0) == 0)

-- A number that belonged to another descriptor.
local one, other = xpio.socketpair()
local number = one:fileno()
one:when_read(r)
queue:wait(0)
r:_dequeue()
one:close()
local again, peer = xpio.socketpair()
equal("the number is used again", again:fileno(), number)
again:when_read(r)
other:try_write("x")
equal("what happened to the former is none of its business", #queue:wait(0.01), 0)
peer:try_write("x")
equal("its own events are", #queue:wait(60), 1)

-- Several queues.
local second = xpio.tqueue()
local inSecond = task("second", second)
again:try_read(10)
again:when_read(r)
again:when_read(inSecond)
equal("a queue of its own", #second:wait(0), 0)
peer:try_write("x")
ok("both queues know", queue:wait(60)[1] == r and second:wait(5)[1] == inSecond)
again:when_read(r)
again:when_read(inSecond)
again:close()
ok("both are told of its closing", queue:wait(60)[1] == r and second:wait(5)[1] == inSecond)

-- Regular files are always ready.
local _ <close> = io.open("/proc/self/exe")
local names = {}
for name in io.popen("exec ls -l /proc/$PPID/fd"):lines() do
  local n = name:match "(%d+) %-> .*/milonga$" or name:match "(%d+) %-> .*/lua5.4$"
  if n then names[#names + 1] = tonumber(n) end
end
local regular = xpio.fdopen(names[1])
regular:when_read(r)
equal("a regular file is ready", #queue:wait(60), 1)
equal("and can be read", #regular:try_read(4), 4)

-- Errors.
raises("no task", "(table expected, got no value)", read.when_read, read)
raises("no queue", "the task's field '_queue' is to be a task queue (see xpio.tqueue), got nil)", read.when_read, read, {})
raises("something else",
  "the task's field '_queue' is to be a task queue (see xpio.tqueue), got table)", read.when_read, read, {_queue = {}})
ok("nobody was scheduled", queue:isEmpty())
local class = {_queue = queue}
class.__index = class
local instance = setmetatable({}, class)
read:when_read(instance)
write:try_write("x")
ok("a task may have its queue from its class",
  queue:wait(60)[1] == instance)
local strict = setmetatable({_queue = queue}, {
  __index = function(_, name) error("no field " .. name) end,
  __newindex = function(_, name) error("no new field " .. name) end,
})
read:when_read(strict)
ok("other fields are not touched", queue:wait(60)[1] == strict and rawget(strict, "_dequeue") == nil)
raises("an error in a class passes through", "no field _queue", read.when_read, read, setmetatable({}, getmetatable(strict)))
read:try_read(10)

-- A task that waits in a queue is collected with it, when the program has dropped the queue.
local weak = setmetatable({}, {__mode = "v"})
do
  local lost = xpio.tqueue()
  weak.task = task("lost", lost)
  weak.queue = lost
  read:when_read(weak.task)
end
collectgarbage()
collectgarbage()
ok("queues are collected with their tasks", weak.task == nil and weak.queue == nil)
read:when_read(r)
write:try_write("x")
equal("and others are not disturbed", #queue:wait(60), 1)

-- A socket that is collected is closed.
do
  local lost, kept = xpio.socketpair()
  lost:when_read(reader)
  lost = nil
  collectgarbage()
  collectgarbage()
  ok("a collected socket makes its tasks ready", queue:wait(60)[1] == reader and kept:try_read(1) == nil)
end
