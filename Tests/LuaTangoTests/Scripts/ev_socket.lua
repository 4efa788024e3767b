-- The server without a coroutine per connection: what is different from copas_socket. All else is
-- tested with both.

local copas = require 'copas'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'
local threads = require 'threads'

local test = threads.test

local function serve(functab, configuration)
  configuration = configuration or {}
  configuration.port, configuration.functab = 0, functab
  local server = tango.server.ev_socket.new(configuration)
  local _, port = server:getsockname()
  return server, function(more)
    more = more or {}
    more.port = port
    return tango.client.socket.connect(more)
  end
end

test('a server in a running loop', function()
  local server, connect = serve{add = function(a, b) return a + b end}
  T.equal(connect().add(1, 2), 3)
  assert(server:start() == server and server:start 'a loop' == server)
  T.equal(connect().add(1, 2), 3)
  server:stop()
  server:stop()
  T.fails('connection refused', connect)
  T.fails('tango server', server.start)
  T.fails('tango server', server.stop, {})
end)

test('open connections outlive their server', function()
  local server, connect = serve{add = function(a, b) return a + b end}
  local con = connect()
  T.equal(con.add(1, 2), 3)
  server:stop()
  T.equal(con.add(3, 4), 7)
end)

test('connections share coroutines', function()
  local seen, count = {}, 0
  local server, connect = serve{who = function()
    local co = coroutine.running()
    if not seen[co] then seen[co], count = true, count + 1 end
  end}
  local cons = {}
  for i = 1, 100 do cons[i] = connect() end
  for _ = 1, 3 do for i = 1, 100 do cons[i].who() end end
  T.equal(count, 1)
  server:stop()
end)

test('functions that wait keep a coroutine, and nobody else waits', function()
  local working, most, seen, ending = 0, 0, {}, false
  local server, connect = serve{
    slow = function(x)
      working = working + 1
      most = math.max(most, working)
      seen[coroutine.running()] = true
      while not ending do copas.pause(0.001) end
      working = working - 1
      return x, coroutine.isyieldable()
    end,
    quick = function(x) return x end,
  }
  local left, got = 30, {}
  for i = 1, 30 do
    copas.addthread(function()
      got[i] = {connect().slow(i)}
      left = left - 1
    end)
  end
  local con = connect()
  for i = 1, 20 do T.equal(con.quick(i), i) end
  local deadline = socket.gettime() + 60
  while working < 30 and socket.gettime() < deadline do copas.pause(0.001) end
  for i = 1, 20 do T.equal(con.quick(i), i) end
  ending = true
  while left > 0 do copas.pause(0.001) end
  for i = 1, 30 do T.equal(got[i], {i, true}) end
  T.equal(most, 30)
  server:stop()
end)

test('answers before a function that waits leave at once', function()
  local deadline, got = socket.gettime() + 60, nil
  local server, connect = serve{
    slow = function()
      while not got and socket.gettime() < deadline do copas.pause(0.001) end
      return got and 'slow' or 'too slow'
    end,
    quick = function() return 'quick' end}
  local con = connect()
  local quick, slow = con.async.quick(), con.async.slow()
  got = quick:get()
  T.equal(got, 'quick')
  T.equal(slow:get(), 'slow')
  server:stop()
end)

test('a function ends its own coroutine\'s thread', function()
  local server, connect = serve{
    leave = function() copas.removethread(coroutine.running()) copas.pause(1) end,
    add = function(a, b) return a + b end}
  local con, other = connect(), connect()
  T.fails('closed', con.leave)
  T.equal(other.add(1, 2), 3)
  server:stop()
end)

test('clients that come and go while their calls run', function()
  local server, connect = serve{
    echo = function(...) return ... end, slow = function() copas.pause(0.02) return ('x'):rep(10000) end}
  local _, port = server:getsockname()
  for i = 1, 300 do
    local raw = assert(socket.connect('127.0.0.1', port))
    if i % 2 == 0 then raw:send '8\n{"slow"}8\n{"slow"}' end
    raw:close()
    if i % 50 == 0 then T.equal(connect().echo(i), i) end
  end
  copas.pause(0.05)
  T.equal(connect().echo 'x', 'x')
  server:stop()
end)

test('two servers with different tables share the coroutines', function()
  local first, connect1 = serve{name = function() return 'first' end}
  local second, connect2 = serve{name = function() return 'second' end}
  local a, b = connect1(), connect2()
  for _ = 1, 5 do
    T.equal(a.name(), 'first')
    T.equal(b.name(), 'second')
  end
  first:stop()
  second:stop()
end)

test('many requests in one piece give others their turn', function()
  local server, connect = serve{echo = function(...) return ... end}
  local _, port = server:getsockname()
  local raw = assert(socket.connect('127.0.0.1', port))
  local other = connect()
  copas.send(raw, ('10\n{"echo",1}'):rep(2000))
  T.equal(other.echo(2), 2)
  local got = copas.receive(raw, #'8\n{true,1}' * 2000)
  T.equal(got, ('8\n{true,1}'):rep(2000))
  server:stop()
end)

T.test('loop', function()
  local port = processes.freePort()
  local server = processes.milonga('support/ev_loop.lua', port)
  server:waitForOutput('(ready)\n')
  local con
  processes.waitFor('the server', function()
    local ok
    ok, con = pcall(tango.client.socket.connect, {port = port})
    return ok
  end)
  T.equal(con.add(1, 2), 3)
  server:stop()
end)

T.finish()
