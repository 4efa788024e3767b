-- An echo server on XPIO: try_read, try_write and a dispatcher of a few lines on one task queue.
-- There is nothing to compare it with but the C echo server, for the original waits with poll(2).
--
--   xpio-echo.lua

local xpio = require 'xpio'

local queue = xpio.tqueue()

local function write(task)
  local socket, data = task.socket, task.data
  local written, failure = socket:try_write(data)
  if written == #data then
    task.data, task.run = nil, task.read
    return task:read()
  elseif written or failure == 'retry' then
    task.data, task.run = data:sub((written or 0) + 1), write
    socket:when_write(task)
  else
    socket:close()
  end
end

local function read(task)
  local socket = task.socket
  local data, failure = socket:try_read(4096)
  if not data then
    if failure == 'retry' then return socket:when_read(task) end
    return socket:close()
  end
  -- Nearly always all of it is written at once, and nothing more has come.
  if socket:try_write(data) == #data then return socket:when_read(task) end
  task.data = data
  write(task)
end

local function accept(task)
  while true do
    local socket, failure = task.socket:try_accept()
    if not socket then
      assert(failure == 'retry', failure)
      return task.socket:when_read(task)
    end
    socket:setsockopt('TCP_NODELAY', true)
    socket:when_read {_queue = queue, socket = socket, read = read, run = read}
  end
end

local listener = assert(xpio.socket('TCP'))
assert(listener:bind('127.0.0.1'))
assert(listener:listen(1024))
print('listening ' .. listener:getsockname():match(':(%d+)$'))
io.stdout:flush()
accept {_queue = queue, socket = listener, run = accept}
while true do
  local tasks = queue:wait()
  for i = 1, #tasks do
    local task = tasks[i]
    task:run()
  end
end
