-- The server of the soak test: its clients name a service in their first line. It ends when its
-- control connection does.
local copas = require 'copas'
local socket = require 'socket'
local state = require 'state'
local tango = require 'tango'

local RECEIVE_SECONDS = 3
local MOST_SHOWN = 10 -- errors
local WANTED = 'this error is wanted'

local connections, wanted, unwanted = 0, 0, 0
copas.seterrorhandler(function(message, thread, skt)
  if tostring(message):find(WANTED, 1, true) then
    wanted = wanted + 1
  else
    unwanted = unwanted + 1
    if unwanted > MOST_SHOWN then return end
    io.stderr:write('server: ', copas.gettraceback(message, thread, skt), '\n')
  end
end, true)

local services = {}

function services.echo(c)
  for line in function() return c:receive() end do
    if not c:send(line .. '\n') then return end
  end
end

--- The same for clients that take their time.
function services.patience(c)
  c:settimeout(30)
  services.echo(c)
end

function services.flood(c)
  local block = ('flood '):rep(10000)
  repeat until not c:send(block)
end

function services.fail() error(WANTED) end

function services.bye() end

--- Has half a line for the client, and waits for the other half of the client's.
function services.half(c)
  c:send 'half'
  c:settimeout(2)
  c:receive()
end

function services.sleep(c)
  copas.pause(math.random())
  c:send 'awake\n'
end

local lock, holders = copas.lock.new(2), 0
function services.lock(c)
  local got, problem = lock:get()
  if got then
    holders = holders + 1
    assert(holders == 1, 'two have the lock')
    copas.pause(math.random() * 0.002)
    holders = holders - 1
    lock:release()
  end
  c:send((problem or 'done') .. '\n')
end

local semaphore = copas.semaphore.new(10, 3, 2)
function services.semaphore(c)
  local got, problem = semaphore:take()
  if got then
    copas.pause(math.random() * 0.005)
    semaphore:give()
  end
  c:send((problem or 'done') .. '\n')
end

local jobs = copas.queue.new {name = 'jobs'}
local function work(job)
  copas.pause(math.random() * 0.002)
  job.finished:give()
  if job.fails then
    -- A worker that fails is none any more.
    jobs:add_worker(work)
    error(WANTED)
  end
end
for _ = 1, 4 do jobs:add_worker(work) end
function services.queue(c)
  local job = {finished = copas.semaphore.new(1, 0, 30), fails = math.random(20) == 1}
  jobs:push(job)
  local finished, problem = job.finished:take()
  c:send((finished and 'done' or problem) .. '\n')
end

function services.future(c)
  local future = copas.future.addthread(function(text)
    copas.pause(math.random() * 0.005)
    return text
  end, 'done')
  local _, text = future:get()
  c:send(text .. '\n')
end

function services.timer(c)
  local fired = copas.semaphore.new(1, 0, 30)
  local lost = copas.timer.new {delay = 60, callback = error}
  local timer = copas.timer.new {
    delay = 0.002, recurring = true, params = fired, callback = function(_, fired) fired:give() end,
  }
  fired:take()
  lost:cancel()
  timer:cancel()
  c:send 'done\n'
end

function services.timeout(c)
  copas.timeout(0.005, copas.wakeup)
  copas.pauseforever()
  copas.timeout(60, error)
  copas.timeout(0)
  c:send 'done\n'
end

--- Threads that are removed while they wait for something, or before they begin.
function services.threads(c)
  local a = socket.udp4()
  a:setsockname('127.0.0.1', 0)
  local threads = {
    copas.addthread(copas.pauseforever), copas.addthread(copas.pause, 60),
    copas.addthread(copas.receive, a, 100), copas.addthread(lock.get, lock, 60),
  }
  copas.pause(math.random() * 0.002)
  threads[5] = copas.addthread(error)
  for _, thread in ipairs(threads) do copas.removethread(thread) end
  if not lock:get() then return c:send 'timeout\n' end
  lock:release()
  a:close()
  c:send 'done\n'
end

--- A server that comes and goes.
function services.server(c)
  local listener = assert(socket.bind('127.0.0.1', 0))
  local _, port = listener:getsockname()
  copas.addserver(listener, copas.handler(function(peer) peer:send 'done\n' end))
  local client = copas.wrap(socket.tcp())
  client:settimeout(30)
  assert(client:connect('localhost', port))
  local line = assert(client:receive())
  client:close()
  copas.removeserver(listener)
  c:send(line .. '\n')
end

-- Servers of tango: for clients that leave while a function waits, that have many calls of some
-- milliseconds under way, that never read.
local function burn()
  local start = os.clock()
  while os.clock() - start < 0.002 do end
  return 1
end
local tangoServers, tangoPorts = {}, {}
for _, backEnd in ipairs {'copas_socket', 'ev_socket'} do
  for _, choice in ipairs {'finish', 'cancel'} do
    local server, handler = tango.server[backEnd].new {
      port = 0, on_disconnect = choice,
      functab = {
        wait = function() copas.pause(math.random() * 2) end, note = function() end, burn = burn,
      },
    }
    if handler then copas.addserver(server, handler) end
    tangoServers[#tangoServers + 1] = server
    tangoPorts[#tangoPorts + 1] = ('%d'):format((select(2, server:getsockname())))
  end
end

local zmqServer = tango.server.zmq.new {
  url = 'tcp://127.0.0.1:*', functab = {big = function(bytes) return ('x'):rep(bytes) end},
}
zmqServer:start()
function services.zmq(c) c:send(zmqServer:url():match '%d+$' .. '\n') end

--- Tells where they are.
function services.tango(c) c:send(table.concat(tangoPorts, ' ') .. '\n') end

local function listen(handle, seconds)
  local listener = assert(socket.bind('127.0.0.1', 0, 1024))
  copas.addserver(listener, copas.handler(handle), seconds)
  return listener, (select(2, listener:getsockname()))
end

local service, port = listen(function(c)
  connections = connections + 1
  local name = c:receive()
  if services[name] then services[name](c) end
end, RECEIVE_SECONDS)

local datagrams = assert(socket.udp4())
assert(datagrams:setsockname('127.0.0.1', 0))
local _, datagramPort = datagrams:getsockname()
copas.addserver(datagrams, function(skt)
  while true do
    local text, address, from = copas.receivefrom(skt, 2048)
    if text then copas.sendto(skt, text, address, from) end
    if text == nil and address == 'closed' then return end
  end
end)

-- In each case nothing of this process stays behind.
local lonely = copas.timer.new {delay = 30, callback = function() os.exit(1) end}

local control, controlPort
local function stop()
  copas.removeserver(service)
  copas.removeserver(datagrams)
  for _, server in ipairs(tangoServers) do
    if server.stop then server:stop() else copas.removeserver(server) end
  end
  zmqServer:stop()
  jobs:stop()
end
control, controlPort = listen(function(c)
  local _ <close> = setmetatable({}, {__close = stop})
  lonely:cancel()
  copas.removeserver(control)
  for command in function() return c:receive() end do
    if command == 'state' then
      c:send(state.format(state.now()) .. '\n')
    elseif command == 'counts' then
      c:send(('%d %d %d\n'):format(connections, wanted, unwanted))
    end
  end
end)

print(('listening %d %d %d'):format(port, datagramPort, controlPort))
io.stdout:flush()
copas.loop()
os.exit(unwanted == 0)
