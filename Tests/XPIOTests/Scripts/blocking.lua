-- oks: 31
-- Blocking functions in coroutines, by the current task.
local xpio = require "xpio"
local check = require "check"
local dispatcher = require "dispatcher"
local ok, equal, raises, pack = check.ok, check.equal, check.raises, table.pack

local read, write = xpio.pipe()
equal("what need not wait works anywhere", write:write("hello"), 5)
equal("reading as well", read:read(100), "hello")
raises("waiting outside a coroutine",
  "xpio: 'read' has to wait, but does not run in a coroutine that can yield; "
    .. "call it in one, or use 'try_read'", function() read:read(1) end)
raises("waiting without a current task",
  "xpio: 'read' has to wait, but there is no current task; "
    .. "call xpio.setCurrentTask before the coroutine is resumed, or use 'try_read'",
  coroutine.wrap(function() read:read(1) end))
local process = assert(xpio.spawn({"sleep", "60"}, xpio.env, {}))
raises("each function is named", "call it in one, or use 'try_wait'", function() process:wait() end)
process:kill()

-- A task by hand.
local queue = xpio.tqueue()
local task = {_queue = queue}
local body = coroutine.create(function() return read:read(100) end)
xpio.setCurrentTask(task)
check.results("it yields nothing", pack(coroutine.resume(body)), true)
ok("and has scheduled the current task", task._dequeue and not queue:isEmpty())
write:try_write("later")
ok("which becomes ready", queue:wait(60)[1] == task)
check.results("what it is resumed with does not matter", pack(coroutine.resume(body, 1, 2, 3)), true, "later")
xpio.setCurrentTask({})
raises("a current task without a queue",
  "the task's field '_queue' is to be a task queue (see xpio.tqueue), got nil)", coroutine.wrap(function() read:read(1) end))
xpio.setCurrentTask(nil)

check.run(function()
  local server = assert(xpio.socket("TCP"))
  assert(server:bind("127.0.0.1") and server:listen())
  local name = server:getsockname()
  local serving = dispatcher.start(function() return server:accept() end)
  local client = assert(xpio.socket("TCP"))
  check.results("connect waits until it is connected", pack(client:connect(name)), true)
  local accepted = dispatcher.join(serving)
  equal("accept returns a socket", accepted:getpeername(), client:getsockname())

  local reading = dispatcher.start(function() return accepted:read(100) end)
  dispatcher.yield()
  ok("read waits", not reading.results)
  client:write("data")
  equal("read returns data", dispatcher.join(reading), "data")

  -- More than the system takes at once.
  local size, received = 5000000, 0
  local writing = dispatcher.start(function()
    local results = pack(client:write(("0123456789"):rep(size // 10)))
    client:shutdown("w")
    return table.unpack(results, 1, results.n)
  end)
  local right = true
  while true do
    local piece, failure = accepted:read(77777)
    if not piece then
      check.results("read returns nil at the end", pack(piece, failure), nil, nil)
      break
    end
    right = right and piece:sub(1, 1) == tostring(received % 10)
    received = received + #piece
  end
  check.results("write writes all of it", pack(dispatcher.join(writing)), size)
  ok("in order", right and received == size, received)
  check.results("an empty string is written at once", pack(client:write("")), 0)
  equal("a number is written as text", accepted:write(1234), 4)
  equal("and read", client:read(10), "1234")

  client:close()
  check.results("read on a closed socket", pack(client:read(1)), nil, "Bad file descriptor")
  check.results("write on a closed socket", pack(client:write("x")), nil, "Bad file descriptor")
  local left <const>, _ <close> = xpio.socketpair()
  local late = dispatcher.start(function() return left:read(1) end)
  dispatcher.yield()
  left:close()
  check.results("closing ends a read that waits", pack(dispatcher.join(late)), nil, "Bad file descriptor")

  server:close()
  check.results("a connection that is refused", pack(xpio.socket("TCP"):connect(name)), nil, "Connection refused")
  check.results("no address", pack(xpio.socket("TCP"):connect("nowhere")), nil, "xpio: mal-formed address")

  -- Processes.
  local child = assert(xpio.spawn({"sh", "-c", "read line; exit 7"}, xpio.env, {[0] = read}))
  local waiting = dispatcher.start(function() return child:wait() end)
  local alike = dispatcher.start(function() return child:wait() end)
  dispatcher.sleep(0.02)
  ok("wait waits", not waiting.results)
  write:close()
  check.results("and tells how the process has ended", pack(dispatcher.join(waiting)), "exit", 7)
  check.results("everybody", pack(dispatcher.join(alike)), "exit", 7)

  -- A thread that is killed while it waits.
  local a, b = xpio.socketpair()
  local victim = dispatcher.start(function() a:read(1) end)
  dispatcher.yield()
  dispatcher.kill(victim)
  b:write("x")
  check.results("a killed thread", pack(dispatcher.join(victim)), nil, "killed")
  equal("has read nothing", a:read(1), "x")
end)
check.results("nothing is left of the current task", pack(xpio.getCurrentTask()), nil)
