-- What goes wrong, for every back end alike: the caller is told, all else goes on, and nothing
-- stays behind.

local copas = require 'copas'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'
local threads = require 'threads'

local setup = [[
  function lessThan(a, b) return a < b end
  function leave() require 'copas'.removethread(coroutine.running()) require 'copas'.pause(1) end
  function many() local t = {} for i = 1, 20000 do t[i] = {i} end return t end
]]

local back = {}
back[1] = {
  name = os.getenv 'TANGO_SERVER' or 'copas_socket',
  start = function(fields) return processes.server(fields, setup) end,
  connect = function(server, configuration)
    configuration = configuration or {}
    configuration.port = server.port
    return tango.client.socket.connect(configuration)
  end,
}
if back[1].name == 'copas_socket' then
  back[2] = {
    name = 'zmq',
    start = function(fields)
      return processes.server("url = 'tcp://127.0.0.1:*', " .. (fields or ''), setup)
    end,
    connect = function(server, configuration)
      configuration = configuration or {}
      configuration.url = ('tcp://127.0.0.1:%d'):format(server.port)
      return tango.client.zmq.connect(configuration)
    end,
  }
end

local function pause(seconds)
  if coroutine.isyieldable() then copas.pause(seconds) else socket.sleep(seconds) end
end

local function descriptors()
  local pipe = io.popen 'ls /proc/$PPID/fd | wc -l'
  local n = tonumber(pipe:read 'a')
  pipe:close()
  return n
end

for _, back in ipairs(back) do
  local server = back.start()
  local function connect(configuration) return back.connect(server, configuration) end
  local function both(name, f)
    name = back.name .. ': ' .. name
    T.test(name .. ', blocking', f)
    threads.test(name .. ', in a Copas thread', f)
  end
  local function test(name, f) threads.test(back.name .. ': ' .. name, f) end

  both('results larger than the limit', function()
    local small = back.start 'max_frame_bytes = 1000'
    local con = back.connect(small)
    T.fails('larger than the limit of 1000 bytes', con.string.rep, 'x', 2000)
    T.equal(con.add(1, 2), 3)
    small:stop()
    -- A client that takes less than its server sends.
    for _, size in ipairs{2000, 3000000} do
      con = connect{max_frame_bytes = 1000, timeout = 60, reconnect = true}
      local start = socket.gettime()
      local reason = T.fails(nil, con.string.rep, 'x', size)
      assert(reason:find 'longer than' or reason:find 'closed', reason)
      T.equal(con.add(1, 2), 3)
      assert(socket.gettime() - start < 30)
    end
  end)

  -- Reading an answer allocates memory, and so runs finalizers.
  both('finalizers that call, or close the connection, while an answer is read', function()
    for round = 1, 20 do
      local con, finalized = connect{timeout = 60}, 0
      collectgarbage()
      setmetatable({}, {__gc = function()
        finalized = finalized + 1
        if round % 2 == 0 then tango.close(con) end
        pcall(con.add, 1, 2)
        local ok, future = pcall(con.async.add, 1, 2)
        if ok then future:ready() end
      end})
      local ok, result = pcall(con.many)
      if ok then
        T.equal(#result, 20000)
        T.equal(result[20000][1], 20000)
      end
      assert(finalized == 1 or ok, result)
      if round % 2 == 1 then T.equal(con.add(40, 2), 42) end
    end
    T.equal(connect().add(1, 2), 3)
  end)

  -- For sockets that is tested with all else about references.
  if back.name == 'zmq' then test('10,000 references, taken and abandoned', function()
    local con = connect()
    local before, hold = con.living(), {}
    for i = 1, 10000 do hold[i] = tango.ref(con.make) end
    T.equal(con.living(), before + 10000)
    T.fails('10000 references already', tango.ref, con.make)
    hold = nil
    collectgarbage()
    collectgarbage()
    processes.waitFor('the objects to go', function() return con.living() == before end)
    tango.unref(tango.ref(con.make))
  end) end

  test('references are released though nobody calls', function()
    local con, witness = connect(), connect()
    local before = witness.living()
    for _ = 1, 20 do tango.ref(con.make) end
    collectgarbage()
    collectgarbage()
    local deadline = socket.gettime() + 60
    while witness.living() > before and socket.gettime() < deadline do copas.pause(0.002) end
    T.equal(witness.living(), before)
    T.equal(con.add(1, 2), 3)
  end)

  both('more references to release than calls may be in flight', function()
    local con, witness = connect{max_calls_in_flight = 20}, connect()
    local before = witness.living()
    for _ = 1, 300 do tango.ref(con.make) end
    collectgarbage()
    collectgarbage()
    for i = 1, 100 do T.equal(con.echo(i), i) end
    processes.waitFor('the objects to go', function()
      con.echo()
      return witness.living() == before
    end)
  end)

  both('references of clients that end', function()
    local witness = connect()
    local before = witness.living()
    for i = 1, 20 do
      local con = connect()
      local _, b = tango.ref(con.make), tango.ref(con.make)
      tango.unref(b)
      if i % 2 == 0 then tango.close(con) end
    end
    collectgarbage()
    collectgarbage()
    local deadline = socket.gettime() + 60
    while witness.living() > before and socket.gettime() < deadline do pause(0.002) end
    T.equal(witness.living(), before)
  end)

  test('a call where nothing can wait', function()
    local con, witness = connect{timeout = 60}, connect()
    local others = 0
    copas.addthread(function()
      for i = 1, 30 do
        T.equal(con.later(0.005, i), i)
        others = others + 1
      end
    end)
    local function sort() table.sort({3, 1, 2}, function(a, b) return con.lessThan(a, b) end) end
    T.fails('attempt to yield across a C-call boundary', sort)
    copas.pause(0.01)
    T.fails('attempt to yield across a C-call boundary', sort)
    T.equal(con.add(1, 2), 3)
    -- What need not wait works.
    local futures = {}
    ;('abc'):gsub('.', function(c) futures[#futures + 1] = con.async.echo(c) end)
    T.fails('attempt to yield', string.gsub, 'x', 'x', function() return con.async.hold():get() end)
    witness.release(1)
    for i, c in ipairs{'a', 'b', 'c'} do T.equal(futures[i]:get(), c) end
    T.equal(('abc'):gsub('.', function() return futures[1]:get() end), 'aaa')
    while others < 30 do copas.pause(0.001) end
    sort = nil
    T.equal(con.echo 'x', 'x')
  end)

  test('a deadline that passes for two who wait for one future', function()
    local con, witness = T.patiently(function() return connect{timeout = 0.1} end), connect()
    local future, told = con.async.hold(), 0
    for _ = 1, 2 do
      copas.addthread(function()
        T.fails('timeout', future.get, future)
        told = told + 1
      end)
    end
    T.fails('timeout', future.get, future)
    while told < 2 do copas.pause(0.001) end
    witness.release(1)
    T.patiently(function(i) T.equal(con.echo(i), i) end)
  end)

  test('no deadline, and those who wait are known to nobody else', function()
    local left = 5
    do
      local con = connect{timeout = -1}
      for i = 1, 5 do
        copas.addthread(function()
          T.equal(con.later(0.05, i), i)
          left = left - 1
        end)
      end
    end
    copas.pause(0.01)
    collectgarbage()
    collectgarbage()
    while left > 0 do copas.pause(0.001) end
  end)

  test('who waits is removed when the answer has come', function()
    local con = connect()
    T.equal(con.echo(1), 1)
    local before = T.registered()
    for _ = 1, 20 do
      local victims = {}
      for i = 1, 5 do victims[i] = copas.addthread(function() con.later(0.002, i) end) end
      copas.pause(0.001)
      local start = socket.gettime()
      while socket.gettime() < start + 0.005 do end
      for i = 1, 5 do copas.removethread(victims[i]) end
      T.equal(con.echo 'x', 'x')
    end
    -- Over ZeroMQ this may be answered before those are whose caller has gone.
    T.equal(con.echo 'x', 'x')
    processes.waitFor('the answers that are nobody\'s', function()
      copas.pause(0.001)
      return T.registered() == before
    end)
  end)

  both('calls and futures leave nothing behind', function()
    local con = connect()
    local function round()
      for i = 1, 200 do con.add(i, i) end
      for i = 1, 50 do con.async.echo(i):get() end
      for i = 1, 50 do con.async.echo(i) end
      for _ = 1, 20 do T.fails('testmessage', con.strerror) end
      T.equal(con.pipeline(function(p) for i = 1, 50 do p.echo(i) end end).n, 50)
    end
    round()
    local before = T.registered()
    for _ = 1, 3 do round() end
    T.equal(T.registered(), before)
  end)

  both('connections that were abandoned with calls in flight', function()
    local function visit()
      local con = connect()
      local slow = con.async.later(5)
      con.async.echo(('x'):rep(100000))
      local async = con.async
      con = nil
      collectgarbage()
      async.echo(1):ready()
      T.fails('tango future', slow.get)
    end
    local function settled(limit)
      local n
      pcall(processes.waitFor, '', function()
        pause(0.002)
        collectgarbage()
        n = descriptors()
        return n <= limit
      end)
      return n
    end
    for _ = 1, 5 do visit() end
    local before, registry = descriptors(), T.registered()
    for _ = 1, 30 do visit() end
    local after = settled(before)
    assert(after <= before, ('%d descriptors, %d before'):format(after, before))
    assert(T.registered() <= registry, T.registered() .. ' and not ' .. registry)
  end)

  test('a function ends its own thread', function()
    local con = connect{timeout = 60, reconnect = true}
    local start = socket.gettime()
    local reason = T.fails(nil, con.leave)
    assert(reason:find 'closed' or reason:find 'the call was ended', reason)
    assert(socket.gettime() - start < 30)
    T.equal(con.add(1, 2), 3)
  end)

  both('an answer that cannot be serialized, and not even the error', function()
    local broken = back.start "serialize = function() error 'never' end"
    local con = back.connect(broken, {timeout = 60})
    local reason = T.fails(nil, con.add, 1, 2)
    T.contains(reason, 'its answer could not be serialized')
    broken:stop()
  end)

  server:stop()
end

local socketBack = back[1]

threads.test('a reader has its answer while others wait for room', function()
  local server = socketBack.start()
  local con = socketBack.connect(server, {timeout = 60})
  local text, left, futures = ('x'):rep(1000000), 40, {}
  local first
  copas.addthread(function() first = con.later(0.1, 'first') end)
  copas.pause(0.01)
  for _ = 1, 40 do
    copas.addthread(function()
      for _ = 1, 2 do table.insert(futures, con.async.echo(text)) end
      left = left - 1
    end)
  end
  local start = socket.gettime()
  while (left > 0 or not first) and socket.gettime() < start + 60 do copas.pause(0.005) end
  T.equal(left, 0, 'threads that wait')
  T.equal(first, 'first')
  for i = 1, 80 do assert(futures[i]:get() == text) end
  server:stop()
end)

threads.test('who waits for room gives up in time', function()
  local deaf = assert(socket.bind('127.0.0.1', 0))
  local _, port = deaf:getsockname()
  local con = T.patiently(function() return tango.client.socket.connect{port = port, timeout = 0.2} end)
  local text, told = ('x'):rep(8000000), 0
  for _ = 1, 4 do
    copas.addthread(function()
      T.fails('timeout', function() con.async.echo(text) con.async.echo(text) end)
      told = told + 1
    end)
  end
  local start = os.clock()
  while told < 4 do copas.pause(0.001) end
  assert(os.clock() - start < 2, 'waiting takes no time of the processor')
  deaf:close()
end)

T.test('idle_timeout, and a client that does not read', function()
  local server = socketBack.start 'idle_timeout = 0.1'
  local before = server:descriptors()
  local raw = assert(socket.connect('127.0.0.1', server.port))
  raw:send(('26\n{"string.rep","x",9000000}'):rep(3))
  local lines = server:errorLines(1)
  T.contains(lines[1], 'nothing came for 0.1 seconds')
  -- It is not closed in the middle of an answer, but does not stay either.
  processes.waitFor('the end of the connection', function() return server:descriptors() <= before end)
  T.equal(#server:errorLines(1), 1)
  raw:close()
  server:stop()
end)

if socketBack.name == 'copas_socket' then
  for _, how in ipairs{'exit', 'close', 'cancelall', 'collect', 'step'} do
    T.test('the program ends with everything open: ' .. how, function()
      local program = processes.milonga('support/everything_open.lua', how)
      program:waitForEnd()
      if how ~= 'close' then T.contains(program:text(), 'the end\n') end
      T.equal(program:errorText(), '')
      program:stop()
    end)
  end
end

T.finish()
