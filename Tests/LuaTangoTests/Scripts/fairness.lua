-- One client's batch of calls and another client's call: it is served between them, on every back
-- end.

local copas = require 'copas'
local expensive = require 'expensive'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'
local threads = require 'threads'

local functab = {
  burn = expensive.burn,
  count = expensive.count,
  add = function(a, b) return a + b end,
  nap = function() copas.pause(0.001) return expensive.count() end,
}

local starts = {
  copas_socket = function(configuration)
    local server, handler = tango.server.copas_socket.new(configuration)
    copas.addserver(server, handler)
    return function() copas.removeserver(server) end, select(2, server:getsockname())
  end,
  ev_socket = function(configuration)
    local server = tango.server.ev_socket.new(configuration)
    return function() server:stop() end, select(2, server:getsockname())
  end,
}

local function message(body) return ('%d\n%s'):format(#body, body) end

-- A client that speaks the protocol by hand, and does not wait for answers.
local function connect(port)
  local raw = socket.tcp()
  assert(copas.connect(raw, '127.0.0.1', port))
  return {
    send = function(_, calls) assert(copas.send(raw, calls)) end,
    receive = function() return copas.receive(raw, (assert(tonumber((copas.receive(raw)))))) end,
    close = function() raw:close() end,
  }
end

-- Calls of one client that are begun while another one's call is under way, in the worst of several
-- cases. `batch` of the first one's are sent at once.
local function worst(port, batch, call)
  local busy, other = connect(port), connect(port)
  other:send(message '{"add",1,2}')
  T.equal(other:receive(), '{true,3}')
  expensive.begun = 0
  busy:send(message(call):rep(batch))
  while expensive.begun == 0 do copas.pause() end
  local most = 0
  for _ = 1, 10 do
    local before = expensive.begun
    other:send(message '{"add",1,2}')
    T.equal(other:receive(), '{true,3}')
    -- Behind the batch there is nothing to be kept waiting by.
    if expensive.begun == batch then break end
    most = math.max(most, expensive.begun - before)
  end
  local last = expensive.begun
  for i = 1, batch do T.equal(busy:receive(), ('{true,%d}'):format(i)) end
  busy:close()
  other:close()
  return most, last
end

for name, start in pairs(starts) do
  local function serving(what, f, ordered)
    threads.test(what .. ', ' .. name, function()
      local stop, port = start{port = 0, functab = functab, ordered = ordered}
      local ok, reason = pcall(f, port)
      stop()
      if not ok then
        copas.exit()
        copas.cancelall()
        error(reason, 0)
      end
    end)
  end

  serving('calls that compute', function(port)
    local most, last = worst(port, 100, '{"burn"}')
    assert(most <= 8, most)
    -- The other one's ten calls were served long before the batch was done.
    assert(last < 100, last)
  end)

  serving('calls that cost nothing', function(port)
    local most, last = worst(port, 20000, '{"count"}')
    assert(most <= 64 * 8, most)
    assert(last < 20000, last)
  end)

  serving('calls that wait a little', function(port)
    local most = worst(port, 50, '{"nap"}')
    assert(most <= 8, most)
  end, true)

  serving('what was answered leaves before the batch is done', function(port)
    local busy = connect(port)
    expensive.begun = 0
    busy:send(message '{"burn"}':rep(100))
    T.equal(busy:receive(), '{true,1}')
    assert(expensive.begun < 20, expensive.begun)
    for i = 2, 100 do T.equal(busy:receive(), ('{true,%d}'):format(i)) end
    busy:close()
  end)

  serving('many clients that are busy at once', function(port)
    expensive.begun = 0
    local busy = {}
    for i = 1, 10 do
      busy[i] = connect(port)
      busy[i]:send(message '{"burn"}':rep(20))
    end
    -- In each round each of them has a turn, so none is done much before the others.
    local done = {}
    threads.together(10, function(i)
      for _ = 1, 20 do T.contains(busy[i]:receive(), '{true,') end
      done[#done + 1] = expensive.begun
    end)
    assert(done[1] > 150, done[1])
    T.equal(done[10], 200)
    for i = 1, 10 do busy[i]:close() end
  end)
end

threads.test('single steps: nothing stays behind', function()
  local stop, port = starts.copas_socket{port = 0, functab = functab}
  local busy = connect(port)
  busy:send(message '{"count"}':rep(1000))
  for _ = 1, 1000 do busy:receive() end
  busy:close()
  stop()
end)

do
  threads.test('a ZeroMQ server', function()
    local server = tango.server.zmq.new{url = 'tcp://127.0.0.1:*', functab = functab}
    local busy = tango.client.zmq.connect{url = server:url()}
    local other = tango.client.zmq.connect{url = server:url()}
    T.equal(other.add(1, 2), 3)
    T.equal(busy.add(1, 2), 3)
    expensive.begun = 0
    local futures, most = {}, 0
    for i = 1, 100 do futures[i] = busy.async.burn() end
    copas.addthread(function() futures[1]:get() end)
    while expensive.begun == 0 do copas.pause() end
    for _ = 1, 5 do
      local before = expensive.begun
      T.equal(other.add(1, 2), 3)
      if expensive.begun == 100 then break end
      most = math.max(most, expensive.begun - before)
    end
    assert(most <= 16, most)
    assert(expensive.begun < 100, expensive.begun)
    for i = 1, 100 do T.equal(futures[i]:get(), i) end
    server:stop()
  end)
end

T.finish()
