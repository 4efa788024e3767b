-- What clients make a ZeroMQ server hold: answers that they do not read, calls behind them, large
-- calls.

local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'
local zmtp = require 'zmtp'
local test = T.test

local MB = 1 << 20

local function start(configuration)
  local server = processes.server("url = 'tcp://127.0.0.1:*', " .. (configuration or ''), [[
    calls = 0
    function big(n) calls = calls + 1 return ('x'):rep(n) end
    local copas, zmq = require 'copas', require 'tango'.server.zmq
    local new = zmq.new
    function zmq.new(configuration)
      local server = new(configuration)
      function finish()
        server:stop()
        copas.addthread(function()
          repeat copas.pause(0.01) collectgarbage() until collectgarbage 'count' < 4000
          os.exit(0)
        end)
      end
      return server
    end
    function length(text) return #text end
    function counted() return calls end
    function burn()
      calls = calls + 1
      local stop = os.clock() + 0.005
      repeat until os.clock() > stop
    end
    -- As long as its arguments are wanted; the result is so long.
    function fail(n) hold() error(('x'):rep(n), 0) end
    function keep(n, text) hold() return text and #text or ('x'):rep(n) end
  ]])
  server.witness = tango.client.zmq.connect{
    url = ('tcp://127.0.0.1:%d'):format(server.port), timeout = 60,
  }
  return server
end

-- How many calls of `big` there were, when there are no more.
local function callsInTheEnd(server)
  local calls
  processes.waitFor('calls to end', function()
    local last = calls
    for i = 1, 20 do T.equal(server.witness.add(i, 1), i + 1) end
    calls = server.witness.counted()
    return calls == last
  end)
  return calls
end

test('a client that does not read has to wait with its calls', function()
  local server = start()
  T.equal(server.witness.add(1, 2), 3)
  local before = server:peakMemory()
  local client = zmtp.connect(server.port)
  local requests = {}
  for i = 1, 300 do requests[i] = zmtp.request('id' .. i, '{"big",1000000}') end
  assert(client:push(table.concat(requests)))
  processes.waitFor('the first call', function() return server.witness.counted() > 0 end)
  -- Others go on meanwhile. Some answers are on their way, or in the system's buffers.
  local calls = callsInTheEnd(server)
  assert(calls < 100, calls .. ' calls')
  assert(server:peakMemory() - before < 60 * MB)
  -- When it reads it gets all answers, each once.
  local seen = {}
  for _ = 1, 300 do
    local id, body = client:receive()
    assert(not seen[id] and #body > 1000000, id)
    seen[id] = true
  end
  T.equal(server.witness.counted(), 300)
  client:close()
  T.equal(server:errorText(), '')
  server:stop()
end)

test('many small answers, too', function()
  local server = start()
  T.equal(server.witness.add(1, 2), 3)
  local before = server:peakMemory()
  local client = zmtp.connect(server.port)
  assert(client:push(zmtp.request('id', '{"big",1000}'):rep(40000)))
  processes.waitFor('the first call', function() return server.witness.counted() > 0 end)
  local calls = callsInTheEnd(server)
  assert(calls < 30000, calls .. ' calls')
  assert(server:peakMemory() - before < 80 * MB)
  for _ = 1, 40000 do
    local _, body = client:receive()
    assert(#body > 1000)
  end
  T.equal(server.witness.counted(), 40000)
  client:close()
  server:stop()
end)

test('what a client had when it left goes away', function()
  local server = start()
  for i = 1, 10 do
    local client = zmtp.connect(server.port)
    local last = server.witness.counted()
    assert(client:push(zmtp.request('id', '{"big",1000000}'):rep(200)))
    processes.waitFor('the first call', function() return server.witness.counted() > last end)
    local before = callsInTheEnd(server)
    client:close()
    -- One of the calls that had not begun tells that it is gone; the others are dropped.
    local after = callsInTheEnd(server)
    assert(before < 100 * i and after - before < 5, ('%d calls, then %d'):format(before, after))
  end
  T.equal(server:errorText(), '')
  server:stop()
end)

test('one that does not read, and calls and calls, is disconnected', function()
  local server = start 'max_buffered_bytes = 16 << 20, max_frame_bytes = 4 << 20'
  local client = zmtp.connect(server.port)
  assert(client:push(zmtp.request('id', '{"big",3000000}'):rep(10)))
  local large = zmtp.request('id', '{"length","' .. ('x'):rep(1000000) .. '"}')
  processes.waitFor('its end', function() return not client:push(large, 1) end)
  local lines = server:errorLines(1)
  T.equal(#lines, 1)
  T.contains(lines[1], '127.0.0.1: disconnected: it does not read its answers: ')
  T.contains(lines[1], 'max_buffered_bytes')
  T.equal(server.witness.length(('x'):rep(1000000)), 1000000)
  client:close()
  -- Another connection is another client.
  client = zmtp.connect(server.port)
  assert(client:push(zmtp.request('id', '{"length","abc"}')))
  T.equal(T.list(client:receive()), T.list('id', '{true,3}'))
  server:stop()
end)

test('results of calls that ran side by side', function()
  local server = start 'max_buffered_bytes = 32 << 20, max_frame_bytes = 4 << 20'
  local client = zmtp.connect(server.port)
  assert(client:push(zmtp.request('id', '{"keep",1000000}'):rep(60)))
  server.witness.release(60)
  -- They are not read: that ends the client.
  local lines = server:errorLines(1)
  T.equal(#lines, 1)
  T.contains(lines[1], 'max_buffered_bytes')
  client:close()
  -- Who reads gets them.
  client = zmtp.connect(server.port)
  assert(client:push(zmtp.request('id', '{"keep",1000000}'):rep(20)))
  server.witness.release(20)
  for _ = 1, 20 do
    local _, body = client:receive()
    assert(#body > 1000000)
  end
  server:stop()
end)

test('large calls that run side by side', function()
  local server = start 'max_buffered_bytes = 16 << 20, max_frame_bytes = 4 << 20'
  local client = zmtp.connect(server.port)
  -- Its share is a message, or a quarter: four of them.
  local request = zmtp.request('id', '{"keep",1,"' .. ('x'):rep(1000000) .. '"}')
  assert(client:push(request:rep(6)))
  for _ = 1, 2 do
    local _, body = client:receive()
    T.contains(body, 'too many bytes of calls wait (max_buffered_bytes)')
  end
  T.equal(server.witness.length(('x'):rep(1000000)), 1000000)
  server.witness.release(4)
  for _ = 1, 4 do
    local _, body = client:receive()
    T.equal(body, '{true,1000000}')
  end
  assert(client:push(request))
  server.witness.release(1)
  T.equal(T.list(client:receive()), T.list('id', '{true,1000000}'))
  server:stop()
end)

test('calls that had to wait hold nobody up when they begin', function()
  local server = start()
  local client = zmtp.connect(server.port)
  assert(client:push(zmtp.request('id', '{"big",1000000}'):rep(20)))
  assert(client:push(zmtp.request('id', '{"burn"}'):rep(300)))
  local before = callsInTheEnd(server)
  assert(before < 20, before)
  for _ = 1, 20 do client:receive() end
  processes.waitFor('calls', function() return server.witness.counted() > 20 end)
  local most, last = 0, server.witness.counted()
  for _ = 1, 10 do
    local calls = server.witness.counted()
    if calls == 320 then break end
    most, last = math.max(most, calls - last), calls
  end
  assert(most < 30, most)
  assert(last < 320, last)
  for _ = 1, 300 do T.equal(select(2, client:receive()), '{true}') end
  server:stop()
end)

test('errors, too, wait to be read', function()
  local server = start 'max_buffered_bytes = 32 << 20, max_frame_bytes = 4 << 20'
  local client = zmtp.connect(server.port)
  assert(client:push(zmtp.request('id', '{"fail",1000000}'):rep(25)))
  server.witness.release(25)
  for _ = 1, 25 do
    local _, body = client:receive()
    assert(#body > 1000000 and body:find('^{false,'))
  end
  T.equal(server:errorText(), '')
  server:stop()
end)

test('a server that stops while results wait to be read', function()
  local server = start 'max_buffered_bytes = 32 << 20, max_frame_bytes = 4 << 20'
  local client = zmtp.connect(server.port)
  assert(client:push(zmtp.request('id', '{"keep",1000000}'):rep(20)))
  server.witness.release(20)
  -- It ends when Lua has nothing of them any more.
  local other = zmtp.connect(server.port)
  assert(other:push(zmtp.request('id', '{"finish"}')))
  server:waitForEnd()
  T.equal(server:errorText(), '')
  client:close()
  other:close()
end)

T.finish()
