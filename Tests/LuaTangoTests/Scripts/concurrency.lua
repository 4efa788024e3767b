-- Many callers and many calls at once, inside Copas.

local copas = require 'copas'
local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'
local threads = require 'threads'

local test, together = threads.test, threads.together

local server = processes.server()
local function connect(timeout)
  return tango.client.socket.connect{port = server.port, timeout = timeout}
end

test('200 threads on one connection: each gets its own answers', function()
  local con = connect()
  together(200, function(i)
    for j = 1, 20 do T.equal({con.echo(i, j, {i * j})}, {i, j, {i * j}}) end
  end)
end)

test('large and small answers on one connection', function()
  local con = connect()
  together(30, function(i)
    local text = ('%d,'):format(i):rep(i % 3 == 0 and 100000 or 10)
    assert(con.echo(text) == text, 'the text changed')
  end)
end)

test('errors and results on one connection', function()
  local con = connect()
  together(100, function(i)
    if i % 2 == 0 then
      T.equal(T.fails(nil, con.customerror, {i}), {i})
    else
      T.equal(con.add(i, 1), i + 1)
    end
  end)
end)

test('300 connections at once', function()
  together(300, function(i)
    local con = connect()
    for j = 1, 3 do T.equal(con.add(i, j), i + j) end
  end)
end)

test('a slow call holds up no other connection', function()
  local slow, quick, order = connect(), connect(60), {}
  together(2, function(i)
    if i == 1 then
      slow.hold()
      order[#order + 1] = 'slow'
    else
      quick.holding(1)
      for j = 1, 20 do quick.add(1, j) end
      order[#order + 1] = 'quick'
      quick.release(1)
    end
  end)
  T.equal(order, {'quick', 'slow'})
end)

test('calls that pause on the server overlap', function()
  -- None is answered before all have been called.
  together(21, function(i)
    local con = connect(60)
    if i == 21 then con.release(20) else con.hold() end
  end)
end)

test('a call suspends only its own thread', function()
  local con, turns, done = connect(60), 0, false
  copas.addthread(function()
    while not done do
      turns = turns + 1
      if turns == 10 then connect().release(1) end
      copas.pause(0.001)
    end
  end)
  con.hold()
  done = true
end)

test('a server handler is a client of another server', function()
  local function relay(...)
    local con = connect()
    return 'relayed', con.echo(...)
  end
  local server, handler = tango.server.copas_socket.new{port = 0, functab = {relay = relay}}
  local _, port = server:getsockname()
  copas.addserver(server, handler)
  together(20, function(i)
    local con = tango.client.socket.connect{port = port}
    T.equal({con.relay(i, 'x')}, {'relayed', i, 'x'})
  end)
  copas.removeserver(server)
end)

test('server functions share a connection to another server', function()
  local shared = connect()
  local functab = {sum = function(a, b) return shared.add(a, b) end}
  local server, handler = tango.server.copas_socket.new{port = 0, functab = functab}
  local _, port = server:getsockname()
  copas.addserver(server, handler)
  together(30, function(i)
    local con = tango.client.socket.connect{port = port}
    for j = 1, 5 do T.equal(con.sum(i, j), i + j) end
  end)
  copas.removeserver(server)
end)

test('a server calls itself', function()
  local functab, port = {}, nil
  function functab.factorial(n)
    if n <= 1 then return 1 end
    return n * tango.client.socket.connect{port = port}.factorial(n - 1)
  end
  local server, handler = tango.server.copas_socket.new{port = 0, functab = functab}
  port = select(2, server:getsockname())
  copas.addserver(server, handler)
  T.equal(tango.client.socket.connect{port = port}.factorial(10), 3628800)
  copas.removeserver(server)
end)

test('requests sent at once are answered in their order', function()
  local socket = require 'socket'
  local raw = assert(socket.connect('127.0.0.1', server.port))
  local parts = {}
  for i = 1, 200 do
    local name = i % 50 == 0 and '"later",0.01' or '"echo"'
    local body = ('{%s,%d}'):format(name, i)
    parts[i] = #body .. '\n' .. body
  end
  copas.send(raw, table.concat(parts))
  for i = 1, 200 do
    local length = copas.receive(raw, '*l')
    T.equal(copas.receive(raw, tonumber(length)), ('{true,%d}'):format(i))
  end
  raw:close()
end)

test('a removed thread takes nobody elses answer', function()
  local con, witness, got = connect(), connect(), {}
  local victim = copas.addthread(function()
    con.hold 'for nobody'
    got.victim = true
  end)
  witness.holding(1, 'for nobody')
  local calls = 0
  for i = 1, 3 do
    copas.addthread(function()
      got[i] = con.echo(i)
      calls = calls + 1
    end)
  end
  copas.pause(0.01)
  copas.removethread(victim)
  witness.release(1, 'for nobody')
  while calls < 3 do copas.pause(0.001) end
  T.equal(got, {1, 2, 3})
  T.equal(con.echo 'afterwards', 'afterwards')
end)

test('a removed thread that had to wait behind another', function()
  local con, witness, got = connect(), connect(), {}
  copas.addthread(function() got[1] = con.hold(1) end)
  local victim = copas.addthread(function() got.victim = con.echo 'x' end)
  copas.addthread(function() got[2] = con.echo(2) end)
  witness.holding(1, 1)
  copas.removethread(victim)
  witness.release(1, 1)
  while not got[2] do copas.pause(0.001) end
  T.equal(got, {1, 2})
end)

test('timeouts of some callers harm no other', function()
  local con, witness = T.patiently(function() return connect(0.5) end), connect()
  local results = {}
  together(6, function(i)
    if i == 1 then
      T.fails('timeout', con.hold, 'late')
    else
      witness.holding(1, 'late')
      results[i] = {pcall(con.echo, i)}
      T.equal(results[i][1], false)
      T.contains(results[i][2], 'timeout')
    end
  end)
  witness.release(1, 'late')
  together(6, function(i) T.patiently(function(j) T.equal({con.echo(i, j)}, {i, j}) end) end)
end)

test('the connection breaks: every caller is told', function()
  local mortal = processes.server()
  local con = tango.client.socket.connect{port = mortal.port}
  local told = 0
  together(21, function(i)
    if i == 21 then
      copas.pause(0.05)
      mortal:stop()
    else
      T.fails(('localhost:%d: closed'):format(mortal.port), con.later, 100)
      told = told + 1
    end
  end)
  T.equal(told, 20)
  T.fails('closed', con.echo, 1)
end)

test('a blocking call while threads wait on the same connection', function()
  -- The main program is not inside Copas: it must not take a thread's answer.
  local con, finished = connect(), false
  copas.addthread(function() T.equal(con.later(0.05, 'x'), 'x') finished = true end)
  copas.pause(0.01)
  local ok, result = coroutine.wrap(function() return pcall(con.echo, 1) end)()
  if ok then T.equal(result, 1) else T.contains(result, 'call from a thread, too') end
  while not finished do copas.pause(0.001) end
  T.equal(con.echo(2), 2)
end)

T.test('a thread has begun a call when the loop ends its step, then a blocking call', function()
  local con, witness = connect(), connect()
  local result
  copas.addthread(function() result = con.hold 'the thread' end)
  for _ = 1, 5 do copas.step(0.001) end
  T.fails('call from a thread, too', con.echo, 'blocking')
  witness.release(1, 'the thread')
  copas.loop()
  T.equal(result, 'the thread')
  T.equal(con.echo 'blocking', 'blocking')
end)

T.test('a call from a coroutine that Copas does not know', function()
  local con = connect()
  T.equal(coroutine.wrap(function() return con.echo(1, 2) end)(), 1)
end)

server:stop()
T.finish()
