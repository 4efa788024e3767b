-- So many tasks wait, each for a descriptor of its own, and one becomes ready at a time.
--
--   waiting.lua TASKS ROUNDS

local xpio = require 'xpio'

local count, rounds = tonumber(arg[1]), tonumber(arg[2])
local queue = xpio.tqueue()
local sender = assert(xpio.socket('UDP'))

local tasks, addresses = {}, {}
for i = 1, count do
  local socket = assert(xpio.socket('UDP'))
  assert(socket:bind('127.0.0.1'))
  addresses[i] = socket:getsockname()
  tasks[i] = {_queue = queue, socket = socket}
  socket:when_read(tasks[i])
end
while #queue:wait(0) > 0 do end

-- The same ten are asked again and again, so that it is the queue that differs and not the kernel's
-- cache of sockets.
local start = xpio.gettime()
for round = 1, rounds do
  local i = round % 10 + 1
  assert(sender:try_sendto('x', addresses[i]))
  local ready = queue:wait()
  assert(#ready == 1 and ready[1] == tasks[i])
  assert(ready[1].socket:try_read(10) == 'x')
  ready[1].socket:when_read(ready[1])
end
print(rounds, xpio.gettime() - start)
