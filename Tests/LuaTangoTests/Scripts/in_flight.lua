-- Many calls in flight: futures and pipelines; reconnection.

local cjson = require 'cjson'
local copas = require 'copas'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'
local threads = require 'threads'

local server = processes.server()
local function connect(configuration)
  configuration = configuration or {}
  configuration.port = configuration.port or server.port
  return tango.client.socket.connect(configuration)
end

-- A server that counts the calls it gets, on a port of its own that outlives it.
local counting = [[calls = 0 function count() calls = calls + 1 return calls end]]

local function run(how)
  local function test(name, f) T.test(name .. ', ' .. how, f) end

  test('a future', function()
    local con = connect()
    local root = con.async.math.sqrt(2)
    T.equal(root:get(), math.sqrt(2))
    T.equal(root:get(), math.sqrt(2))
    T.equal({con.async.echo(1, nil, 'x'):get()}, {1, nil, 'x'})
    T.equal(select('#', con.async.echo():get()), 0)
    T.contains(tostring(root), 'tango future')
    T.fails('tango future', root.get)
    T.fails('tango future', root.get, 5)
  end)

  test('answers in any order', function()
    local con, futures = connect(), {}
    for i = 1, 500 do futures[i] = con.async.echo(i) end
    for i = 500, 1, -1 do T.equal(futures[i]:get(), i) end
    T.equal(con.echo 'x', 'x')
  end)

  test('calls between futures', function()
    local con = connect()
    local a = con.async.echo 'a'
    T.equal(con.echo 'b', 'b')
    local c = con.async.echo 'c'
    T.equal(c:get(), 'c')
    T.equal(a:get(), 'a')
  end)

  test('errors come when they are asked for', function()
    local con = connect()
    local bad, worse, good = con.async.strerror(), con.async.customerror{7}, con.async.add(1, 2)
    T.equal(good:get(), 3)
    T.fails('testmessage', bad.get, bad)
    T.fails('testmessage', bad.get, bad)
    T.equal(T.fails(nil, worse.get, worse), {7})
    T.fails('argument #1', con.async.echo, print)
    T.fails('the connection itself cannot be called', con.async)
    T.equal(con.add(1, 2), 3)
  end)

  test('ready', function()
    local con = connect()
    local future = con.async.hold 'x'
    T.equal(future:ready(), false)
    connect().release(1, 'x')
    processes.waitFor('the answer', function()
      if coroutine.isyieldable() then copas.pause(0.005) end
      return future:ready()
    end)
    T.equal(future:get(), 'x')
  end)

  test('futures that nobody keeps', function()
    local con = connect()
    for _ = 1, 300 do con.async.echo(('x'):rep(1000)) end
    collectgarbage()
    collectgarbage()
    T.equal(con.echo(1), 1)
    collectgarbage()
    T.equal(con.echo(2), 2)
  end)

  test('more than the system takes at once', function()
    local con, futures, text = connect(), {}, ('x'):rep(100000)
    for i = 1, 200 do futures[i] = con.async.echo(i, text) end
    for i = 1, 200 do
      local number, back = futures[i]:get()
      assert(number == i and back == text)
    end
  end)

  test('a deadline that passes; the answer comes, and is nobody\'s', function()
    local con, witness = T.patiently(function() return connect{timeout = 0.1} end), connect()
    local late, next = con.async.hold 'late', con.async.echo 'next'
    T.fails('timeout', late.get, late)
    T.fails('timeout', next.get, next)
    witness.release(1, 'late')
    T.patiently(function(i) T.equal(con.echo(i), i) end)
    T.fails('timeout', late.get, late)
  end)

  test('an answer that came in time, and is asked for late', function()
    local con = T.patiently(function() return connect{timeout = 0.05} end)
    -- It may not have come in time.
    T.patiently(function(i)
      local future = con.async.echo(i)
      if coroutine.isyieldable() then copas.pause(0.1) else socket.sleep(0.1) end
      T.equal(future:get(), i)
    end)
  end)

  test('a limit', function()
    local con = connect{max_calls_in_flight = 3}
    local slow = con.async.hold()
    con.async.echo(1)
    con.async.echo(2)
    T.fails('3 calls await their answers', con.async.echo, 3)
    T.fails('3 calls await their answers', con.echo, 3)
    connect().release(1)
    slow:get()
    T.equal(con.async.echo(4):get(), 4)
  end)

  test('the server dies with calls in flight', function()
    local mortal = processes.server()
    local con = connect{port = mortal.port}
    local first, second = con.async.later(100), con.async.echo(1)
    os.execute('(sleep 0.05; kill -9 ' .. mortal.pid .. ') &')
    T.fails(('localhost:%d: closed'):format(mortal.port), first.get, first)
    T.fails('closed', second.get, second)
    T.fails('closed', con.async.echo, 1)
    mortal:stop()
  end)

  test('a pipeline', function()
    local con = connect()
    local results = con.pipeline(function(p)
      for i = 1, 100 do p.echo(i, 'more') end
      p.echo()
      T.equal(p.math.sqrt(16):get(), 4.0)
    end)
    T.equal(results.n, 102)
    for i = 1, 100 do T.equal(results[i], i) end
    T.equal(results[101], nil)
    T.equal(results[102], 4.0)
    T.equal(con.pipeline(function() end), {n = 0})
  end)

  test('errors in pipelines', function()
    local con = connect()
    local last
    T.fails('testmessage', con.pipeline, function(p)
      p.echo(1)
      p.strerror()
      p.customerror 'second'
      last = p.echo(2)
    end)
    T.equal(last:get(), 2)
    T.fails('mine', con.pipeline, function(p) p.echo(1) error 'mine' end)
    T.fails('function expected', con.pipeline)
    T.fails('argument #1', con.pipeline, function(p) p.echo(1) p.echo(print) end)
    T.equal(con.add(1, 2), 3)
  end)

  test('serialization of the program\'s own', function()
    local json = processes.server [[
      serialize = require 'cjson'.encode, unserialize = require 'cjson'.decode]]
    local con = connect{port = json.port, serialize = cjson.encode, unserialize = cjson.decode}
    local a, b = con.async.add(1, 2), con.async.strerror()
    T.equal(con.add(2, 3), 5.0)
    T.equal(a:get(), 3.0)
    T.fails('testmessage', b.get, b)
    T.equal(con.pipeline(function(p) p.echo{1} p.echo 'x' end), {{1.0}, 'x', n = 2})
    json:stop()
  end)

  test('reconnection', function()
    local port = processes.freePort()
    local first = processes.server('port = ' .. port, counting)
    local con = connect{port = port, reconnect = true, timeout = 60}
    T.equal(con.count(), 1)
    local lost = con.async.later(100)
    first:stop()
    -- A call that may have run is not sent again.
    T.fails('closed', lost.get, lost)
    local second
    local starting = coroutine.isyieldable() and copas.addthread(function()
      copas.pause(0.1)
      second = processes.server('port = ' .. port, counting)
    end)
    if not starting then second = processes.server('port = ' .. port, counting) end
    T.equal(con.count(), 1)
    T.equal(con.count(), 2)
    T.equal(con.async.count():get(), 3)
    second:stop()
    -- It went while no call was under way: nothing is lost.
    second = processes.server('port = ' .. port, counting)
    T.equal(con.count(), 1)
    second:stop()
  end)

  test('reconnection in vain', function()
    local mortal = processes.server()
    local con = T.patiently(function() return connect{port = mortal.port, reconnect = true, timeout = 0.3} end)
    T.patiently(function(i) T.equal(con.add(i, 2), i + 2) end)
    mortal:stop()
    local start = socket.gettime()
    T.fails('connection refused', con.add, 1, 2)
    assert(socket.gettime() - start < 30)
    T.fails('connection refused', connect, {port = mortal.port, reconnect = true})
  end)

  test('without reconnection', function()
    local mortal = processes.server()
    local con = connect{port = mortal.port}
    T.equal(con.add(1, 2), 3)
    mortal:stop()
    T.fails('closed', con.add, 1, 2)
    T.fails('closed', con.add, 1, 2)
  end)
end

run 'blocking'
copas.addthread(run, 'in a Copas thread')
copas.loop()

local test, together = threads.test, threads.together

test('futures and calls of many threads on one connection', function()
  local con = connect()
  together(100, function(i)
    local futures = {}
    for j = 1, 10 do futures[j] = con.async.echo(i, j) end
    T.equal({con.echo(i, 'sync')}, {i, 'sync'})
    for j = 10, 1, -1 do T.equal({futures[j]:get()}, {i, j}) end
  end)
end)

test('large futures of many threads on one connection', function()
  local con = connect()
  together(20, function(i)
    local futures, text = {}, ('%d,'):format(i):rep(30000)
    for j = 1, 5 do futures[j] = con.async.echo(text) end
    assert(con.echo(text) == text)
    for j = 1, 5 do assert(futures[j]:get() == text) end
  end)
end)

test('two threads wait for one future', function()
  local con = connect()
  local future, got = con.async.hold 'x', {}
  together(4, function(i) if i < 4 then got[i] = future:get() else connect().release(1, 'x') end end)
  T.equal(got, {'x', 'x', 'x'})
end)

test('a thread that waits for a future is removed', function()
  local con, got = connect(), nil
  local future, other = con.async.hold 'x', con.async.echo 'y'
  local victim = copas.addthread(function() future:get() end)
  copas.addthread(function() got = other:get() end)
  copas.pause(0.02)
  copas.removethread(victim)
  connect().release(1, 'x')
  while not got do copas.pause(0.001) end
  T.equal(got, 'y')
  T.equal(future:get(), 'x')
end)

test('many threads find the connection lost, and one connects', function()
  local port = processes.freePort()
  local mortal = processes.server('port = ' .. port)
  local con = connect{port = port, reconnect = true, timeout = 60}
  T.equal(con.add(1, 2), 3)
  mortal:stop()
  copas.addthread(function()
    copas.pause(0.15)
    mortal = processes.server('port = ' .. port, counting)
  end)
  local results = {}
  together(30, function()
    copas.pause(0.01)
    local number = con.count()
    results[#results + 1] = number
  end)
  table.sort(results)
  for i = 1, 30 do T.equal(results[i], i) end
  mortal:stop()
end)

test('the thread that connects is removed', function()
  local silent = assert(socket.bind('127.0.0.1', 0))
  local mortal = processes.server()
  local con = T.patiently(function() return connect{port = mortal.port, reconnect = true, timeout = 0.5} end)
  T.patiently(function(i) T.equal(con.add(i, 2), i + 2) end)
  mortal:stop()
  local victim = copas.addthread(function() con.add(1, 2) end)
  local told
  copas.addthread(function() told = T.fails('connection refused', con.add, 1, 2) end)
  copas.pause(0.1)
  copas.removethread(victim)
  while not told do copas.pause(0.01) end
  silent:close()
end)

T.test('a call outside while threads wait for futures', function()
  local con, witness = connect(), connect()
  local result
  copas.addthread(function() result = con.async.hold 'the thread':get() end)
  for _ = 1, 5 do copas.step(0.001) end
  T.fails('call from a thread, too', con.echo, 'blocking')
  T.fails('call from a thread, too', con.async.echo, 'blocking')
  witness.release(1, 'the thread')
  copas.loop()
  T.equal(result, 'the thread')
  T.equal(con.async.echo 'blocking':get(), 'blocking')
end)

T.test('the original answers in order, and needs nothing new', function()
  local original = processes.lua('5.1', 'support/original_server.lua')
  local port = tonumber(original:waitForOutput '(%d+)\n')
  local con = connect{port = port}
  T.equal(con.pipeline(function(p) for i = 1, 50 do p.add(i, i) end end)[50], 100)
  original:stop()
end)

server:stop()
T.finish()
