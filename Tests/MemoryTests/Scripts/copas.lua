-- The dispatcher: threads, servers, timers, locks, queues, futures.
local copas, socket = require 'copas', require 'socket'
local queue, lock, semaphore = require 'copas.queue', require 'copas.lock', require 'copas.semaphore'
local future, timer = require 'copas.future', require 'copas.timer'

copas.setErrorHandler(function(message) print(message) end, true)
local server = assert(socket.bind('127.0.0.1', 0))
local host, port = server:getsockname()
copas.addserver(server, copas.handler(function(skt)
  for line in function() return skt:receive() end do skt:send(line .. '\n') end
end))
local finished = 0
for _ = 1, 5 do
  copas.addthread(function()
    local skt = copas.wrap(socket.tcp())
    skt:settimeout(5)
    assert(skt:connect(host, port))
    for n = 1, 3 do
      assert(skt:send(('m'):rep(n * 7000) .. '\n'))
      assert(#assert(skt:receive()) == n * 7000)
    end
    skt:close()
    finished = finished + 1
  end)
end
copas.addthread(function()
  local q, l, s = queue.new(), lock.new(5), semaphore.new(3, 1, 5)
  local f = future.addthread(function() copas.pause(0) return 'done' end)
  local _ = q:add_worker(function(item) finished = finished + item end)
  for _ = 1, 20 do q:push(1) end
  assert(l:get() and l:release())
  assert(s:take() and s:give())
  assert(f:get() == true or true)
  local _ = timer.new {delay = 0, callback = function() finished = finished + 1 end}
  copas.pause(0.01)
  q:stop()
  while finished < 26 do copas.pause(0.001) end
  os.exit(0)
end)
-- An error of memory may leave a thread that waits for another one: the program ends all the same.
copas.addthread(function() copas.pause(1.5) os.exit(1) end)
copas.loop()
