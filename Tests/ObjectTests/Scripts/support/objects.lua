-- Live objects of every class, by names. Without Milonga there are none of ours.
local objects = {}

local pool, order

local function add(name, object)
  if object == nil then return nil end
  if pool[name] == nil then order[#order + 1] = name end
  pool[name] = object
  return object
end

-- A wait must not keep the whole program.
local function hurried(socket)
  socket:settimeout(0.001)
  return socket
end

local function sockets(copas)
  local socket = require 'socket'
  add('tcp.master', hurried(socket.tcp()))
  local server = add('tcp.server', hurried(assert(socket.bind('127.0.0.1', 0))))
  local _, port = server:getsockname()
  local client = add('tcp.client', hurried(assert(socket.connect('127.0.0.1', port))))
  local peer = add('tcp.peer', hurried(assert(server:accept())))
  peer:send('some\nlines\nof text')
  local closed = hurried(socket.tcp())
  closed:close()
  add('tcp.closed', closed)
  local udp = add('udp', hurried(socket.udp()))
  udp:setsockname('127.0.0.1', 0)
  local connected = add('udp.connected', hurried(socket.udp()))
  connected:setpeername(udp:getsockname())
  connected:send('datagram')
  local unix = require 'socket.unix'
  add('unix.stream', hurried(unix.stream()))
  local dgram = unix.dgram and unix.dgram()
  if dgram then add('unix.dgram', hurried(dgram)) end
  local listening = hurried(unix.stream())
  if listening:bind('unix-' .. #order) and listening:listen() then
    add('unix.server', listening)
    local stream = hurried(unix.stream())
    if stream:connect('unix-' .. (#order - 1)) then add('unix.client', stream) end
  end
  for _, name in ipairs {'tcp.master', 'tcp.server', 'tcp.closed', 'udp', 'unix.stream'} do
    add('wrapped.' .. name, copas.wrap(pool[name]))
  end
  local one, other = server, nil
  other = hurried(assert(socket.connect('127.0.0.1', port)))
  add('wrapped.client', copas.wrap(other))
  add('wrapped.peer', copas.wrap(hurried(assert(one:accept()))))
  return client
end

-- Coroutines that wait for something in the dispatcher.
local function threads(copas)
  local socket = require 'socket'
  local server = assert(socket.bind('127.0.0.1', 0))
  local _, port = server:getsockname()
  copas.addserver(server, function(connection)
    local wrapped = copas.wrap(connection)
    add('wrapped.served', wrapped)
    wrapped:receive('*l')
    wrapped:send(('x'):rep(100000))
  end)
  add('copas.server', server)
  add('thread.receiving', copas.addthread(function()
    local wrapped = copas.wrap(socket.tcp())
    add('wrapped.waiting', wrapped)
    wrapped:connect('127.0.0.1', port)
    wrapped:receive('*a')
  end))
  add('thread.sleeping', copas.addthread(function() copas.pause(1000) end))
  add('thread.forever', copas.addthread(function() copas.pauseforever() end))
  add('thread.new', copas.addthread(function() copas.pause(0) end))
end

local function coordination(copas)
  local queue, future = require 'copas.queue', require 'copas.future'
  local lock, semaphore, timer = require 'copas.lock', require 'copas.semaphore', require 'copas.timer'
  local q = add('queue', queue.new())
  q:push(1) q:push {}
  local empty = add('queue.empty', queue.new {name = 'empty'})
  add('thread.popping', copas.addthread(function() empty:pop(1000) end))
  q:add_worker(function() copas.pause(0) end)
  local stopped = add('queue.stopped', queue.new())
  stopped:stop()
  add('future', future.addthread(function() return 1, nil, 2 end))
  add('future.pending', future.addthread(function() copas.pause(1000) end))
  add('thread.getting', copas.addthread(function() pool['future.pending']:get() end))
  add('future.failed', future.addthread(function() error 'failed' end))
  local l = add('lock', lock.new(0.01))
  add('thread.locking', copas.addthread(function() l:get(1000) copas.pause(1000) end))
  add('thread.waiting', copas.addthread(function() l:get(1000) end))
  local s = add('semaphore', semaphore.new(3, 1, 0.01))
  add('thread.taking', copas.addthread(function() s:take(3, 1000) end))
  add('timer', timer.new {delay = 0.001, recurring = true, callback = function() end})
  add('timer.once', timer.new {delay = 1000, callback = function() end, params = {}})
end

local function remote(tamper)
  local copas, tango, rpc = require 'copas', require 'tango', require 'rpc'
  local services = {
    add = function(a, b) return a + b end,
    wait = function() copas.pause(0.001) return 'waited' end,
    echo = function(...) return ... end,
    self = function() return coroutine.running() end,
    object = function() return {name = 'object', get = function(self) return self.name end} end,
    value = {1, 2, {3}},
    -- What serves the call is taken apart meanwhile.
    tamper = function() tamper.callers() copas.pause(0) tamper.callers() return 1 end,
    collect = function() tamper.callers() collectgarbage() return 1 end,
  }
  local server = add('tango.server', tango.server.ev_socket.new {port = 0, functab = services})
  local _, port = server:getsockname()
  local listener, handler = tango.server.copas_socket.new {port = 0, functab = services}
  local _, handled = listener:getsockname()
  add('tango.handler', handler)
  copas.addserver(listener, handler)
  local peer = assert(rpc.newserveronly('127.0.0.1', 0, {functab = services}))
  add('rpc.server', peer)
  local _, peered = peer:getsockname()
  copas.addthread(function()
    for name, number in pairs {ev = port, copas = handled} do
      local con = tango.client.socket.connect {address = '127.0.0.1', port = number, timeout = 0.2}
      add('proxy.' .. name, con)
      add('proxy.echo.' .. name, con.echo)
      add('proxy.tamper.' .. name, con.tamper)
      add('proxy.collect.' .. name, con.collect)
      add('proxy.async.' .. name, con.async.echo)
      add('proxy.async.tamper.' .. name, con.async.tamper)
      add('tango.future.' .. name, con.async.wait())
      con.add(1, 2)
      local object = tango.ref(con.object)
      add('tango.reference.' .. name, object)
      add('tango.method.' .. name, object.get)
      for _, value in next, con do
        if type(value) == 'userdata' then add('tango.connection.' .. name, value) end
      end
      add('thread.calling.' .. name, copas.addthread(function() con.wait() end))
    end
    local session = rpc.newclient('127.0.0.1', peered, {timeout = 0.2})
    add('rpc.peer', session)
    session:call('add', 1, 2)
    for _, value in next, session do
      if type(value) == 'userdata' then add('rpc.userdata', value.settimeout and hurried(value) or value) end
    end
    add('rpc.script', (session:newexec 'return ...'))
    add('thread.rpc', copas.addthread(function() session:call('wait') end))
  end)
end

-- What needs a library that may not be there.
local function others(number)
  local copas, tango, socket = require 'copas', require 'tango', require 'socket'
  local url = 'ipc://zmq-' .. number
  local hasZMQ, server = pcall(tango.server.zmq.new, {url = url, functab = {echo = function(...) return ... end}})
  if hasZMQ then
    add('zmq.server', server)
    copas.addthread(function()
      local con = tango.client.zmq.connect {url = url, timeout = 0.2}
      add('zmq.proxy', con)
      add('zmq.proxy.echo', con.echo)
      add('zmq.future', con.async.echo(1))
      for _, value in next, con do
        if type(value) == 'userdata' then add('zmq.connection', value) end
      end
      add('thread.zmq', copas.addthread(function() con.echo(2) end))
    end)
  end
  local hasTLS, ssl = pcall(require, 'ssl')
  if hasTLS then
    local listening = assert(socket.bind('127.0.0.1', 0))
    local client = assert(socket.connect('127.0.0.1', (select(2, listening:getsockname()))))
    local secure = ssl.wrap(client, ssl.newcontext {mode = 'client', protocol = 'any', verify = 'none'})
    if secure then
      secure:settimeout(0)
      add('wrapped.tls', copas.wrap(secure))
      add('thread.shaking', copas.addthread(function() copas.wrap(secure):dohandshake() end))
    end
  end
end

local function xpio()
  local xpio = require 'xpio'
  local one, other = xpio.socketpair()
  add('xpio.socket', one) add('xpio.other', other)
  other:try_write('some bytes')
  local reading, writing = xpio.pipe()
  add('xpio.reading', reading) add('xpio.writing', writing)
  add('xpio.udp', (xpio.socket 'UDP'))
  local queue = add('xpio.queue', xpio.tqueue())
  local task = add('xpio.task', {_queue = queue})
  reading:when_read(task)
  local process = xpio.spawn({'/bin/sleep', '100'}, {}, {})
  add('xpio.process', process)
end

local function texts()
  local ltn12, mime, url = require 'ltn12', require 'mime', require 'socket.url'
  add('filter.b64', mime.encode 'base64')
  add('filter.unb64', mime.decode 'base64')
  add('filter.qp', mime.encode 'quoted-printable')
  add('filter.wrap', mime.wrap())
  add('filter.normalize', mime.normalize())
  add('filter.stuff', mime.stuff())
  add('source', ltn12.source.string 'text')
  add('sink', (ltn12.sink.table()))
  add('filter.chain', ltn12.filter.chain(mime.encode 'base64', mime.wrap()))
  add('url', url.parse 'http://user@host:80/path?query#fragment')
  add('try', require 'socket'.newtry(function() end))
  add('protected', require 'socket'.protect(function(...) return ... end))
  for _, name in ipairs {'http', 'ftp', 'smtp'} do require('socket.' .. name).TIMEOUT = 0.01 end
  for _, name in ipairs {'http', 'ftp', 'smtp'} do require('copas.' .. name) end
  require 'luatobin'
end

-- Makes all objects anew.
local made = 0
function objects.make(isStock, tamper)
  pool, order = {}, {}
  made = made + 1
  add('file', io.tmpfile())
  if isStock then return pool, order end
  local copas = require 'copas'
  sockets(copas)
  coordination(copas)
  threads(copas)
  remote(tamper)
  others(made)
  xpio()
  texts()
  for _ = 1, 40 do copas.step(0.002) end
  table.sort(order)
  return pool, order
end

return objects
