-- What clients make a server hold, in total: messages that do not end, answers that are not read,
-- large calls.

local pressure = require 'pressure'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'
local test = T.test

local MB = 1 << 20

local function start(configuration, setup)
  local server = processes.server(configuration, [[
    function big(n) return ('x'):rep(n) end
    function length(text) return #text end
    -- As long as its argument is wanted.
    function keep(text) hold() return #text end
    ticks = 0
    function tick(text) ticks = ticks + 1 end
  ]] .. (setup or ''))
  server.witness = tango.client.socket.connect{port = server.port, timeout = 60}
  return server
end

local function raw(server)
  local peer = assert(socket.connect('127.0.0.1', server.port))
  peer:settimeout(0.05)
  return peer
end

local function unfinished(server, bytes, rest)
  local peer = raw(server)
  pressure.push(peer, (bytes + (rest or 100)) .. '\n{"length","' .. ('x'):rep(bytes))
  return peer
end

local function count(lines, fragment)
  local n = 0
  for _, line in ipairs(lines) do if line:find(fragment, 1, true) then n = n + 1 end end
  return n
end

test('messages that do not end', function()
  local server = start 'max_buffered_bytes = 16 << 20, max_frame_bytes = 4 << 20'
  local before = server:peakMemory()
  local peers = {}
  for i = 1, 20 do
    peers[i] = unfinished(server, 3000000)
    T.equal(server.witness.length(('x'):rep(200000)), 200000)
  end
  pressure.waitUntilClosed(peers)
  assert(server:peakMemory() - before < 40 * MB, ('%d bytes'):format(server:peakMemory() - before))
  local lines = server:errorLines(1)
  T.contains(lines[1], 'disconnected: it holds ')
  T.contains(lines[1], 'hold more than 16777216 bytes together (max_buffered_bytes)')
  -- The peers that are left are disconnected, or have their turn, one after the other.
  for _, peer in ipairs(peers) do peer:close() end
  T.equal(server.witness.length(('x'):rep(4000000)), 4000000)
  server:stop()
end)

test('who drips is no better', function()
  local server = start 'max_buffered_bytes = 11 << 20, max_frame_bytes = 4 << 20'
  local peers = {}
  for i = 1, 3 do peers[i] = unfinished(server, 3000000, 1000000) end
  processes.waitFor('a disconnection', function()
    for _, peer in ipairs(peers) do
      peer:send 'x'
      if pressure.isClosed(peer) then return true end
    end
    T.equal(server.witness.add(1, 2), 3)
  end)
  T.contains(server:errorLines(1)[1], 'max_buffered_bytes')
  server:stop()
end)

test('a small message is taken while others wait', function()
  local server = start 'max_buffered_bytes = 8 << 20, max_frame_bytes = 4 << 20'
  local peers = {}
  for i = 1, 3 do peers[i] = unfinished(server, 3000000) end
  -- Much less than what the others have, but more than what is not counted.
  T.equal(server.witness.length(('x'):rep(1000000)), 1000000)
  server:stop()
end)

test('who waits for room takes no turns', function()
  local server = start('max_buffered_bytes = 8 << 20, max_frame_bytes = 4 << 20', pressure.countTurns)
  local peers = {}
  for i = 1, 4 do peers[i] = unfinished(server, 3000000) end
  -- The system has bytes of those who wait, until one is disconnected.
  pressure.waitUntilClosed(peers)
  local turns = server.witness.turns()
  assert(turns < 500, turns)
  server:stop()
end)

test('answers that nobody reads', function()
  local server = start 'max_buffered_bytes = 40 << 20'
  local peers = {}
  for i = 1, 8 do
    peers[i] = raw(server)
    pressure.push(peers[i], '16\n{"big",15000000}')
  end
  local lines = server:errorLines(1)
  T.contains(lines[1], 'max_buffered_bytes')
  T.equal(server.witness.add(1, 2), 3)
  assert(server:peakMemory() < 250 * MB, ('%d bytes'):format(server:peakMemory()))
  for _, peer in ipairs(peers) do peer:close() end
  server:stop()
end)

test('who reads slowly gets everything', function()
  local server = start 'max_buffered_bytes = 20 << 20'
  local peer = raw(server)
  pressure.push(peer, '16\n{"big",15000000}')
  peer:settimeout(60)
  local bytes = tonumber(peer:receive '*l')
  local got = 0
  while got < bytes do
    got = got + #assert(peer:receive(math.min(bytes - got, 1000000)))
    T.equal(server.witness.add(1, 2), 3)
  end
  T.equal(server:errorText(), '')
  server:stop()
end)

test('calls that run count, and are answered', function()
  local server = start 'max_buffered_bytes = 11 << 20, max_frame_bytes = 4 << 20'
  local peers = {}
  local text = '{"keep","' .. ('x'):rep(3000000) .. '"}'
  for i = 1, 3 do
    peers[i] = raw(server)
    peers[i]:settimeout(60)
    assert(peers[i]:send(#text .. '\n' .. text))
  end
  server.witness.holding(3)
  -- What would have to wait, waits, and small calls do not.
  local other = unfinished(server, 3000000)
  T.equal(server.witness.add(1, 2), 3)
  pressure.waitUntilClosed{other}
  T.equal(count(server:errorLines(1), 'max_buffered_bytes'), 1)
  server.witness.release(3)
  for _, peer in ipairs(peers) do
    peer:receive '*l'
    T.equal(peer:receive(14), '{true,3000000}')
  end
  -- Nothing of it counts any more.
  T.equal(server.witness.length(('x'):rep(4000000)), 4000000)
  server:stop()
end)

test('those who leave are not counted', function()
  local server = start 'max_buffered_bytes = 8 << 20, max_frame_bytes = 4 << 20'
  for i = 1, 20 do
    local peer = unfinished(server, 3000000)
    peer:close()
    T.equal(server.witness.add(1, i), 1 + i)
  end
  T.equal(count(server:errorLines(20), 'in the middle of a message'), 20)
  T.equal(count(server:errorLines(20), 'max_buffered_bytes'), 0)
  server:stop()
end)

-- Clients that leave, one after the other, while a function of theirs waits; each has one more call
-- behind that.
local function leave(server, n)
  T.equal(server.witness.add(1, 2), 3)
  local open = server:descriptors()
  local call = '{"tick","' .. ('x'):rep(60000) .. '"}'
  for i = 1, n do
    local peer = raw(server)
    peer:settimeout(60)
    assert(peer:send('12\n{"keep","x"}' .. #call .. '\n' .. call))
    server.witness.holding(i)
    peer:close()
    processes.waitFor('its descriptor', function() return server:descriptors() <= open end)
  end
end

test('what clients have called before they left counts', function()
  local server = start 'ordered = true, max_buffered_bytes = 300000, max_frame_bytes = 100000'
  leave(server, 10)
  local lines = server:errorLines(1)
  T.contains(lines[1], '127.0.0.1:')
  T.contains(lines[1], 'disconnected: it holds ')
  T.contains(lines[1], 'max_buffered_bytes')
  server.witness.release(10)
  -- Calls that were not dropped are carried out.
  local ticks
  processes.waitFor('calls', function() ticks = server.witness.ticks() return ticks > 0 end)
  for _ = 1, 20 do ticks = server.witness.ticks() end
  assert(ticks < 10, ticks)
  server:stop()
end)

test('and nothing of it, once it is carried out', function()
  for _, fate in ipairs{'finish', 'cancel'} do
    local server = start(([[
      ordered = true, max_buffered_bytes = 300000, max_frame_bytes = 100000,
      on_disconnect = '%s']]):format(fate))
    for round = 1, 10 do
      leave(server, 1)
      if fate == 'finish' then server.witness.release(1) end
      processes.waitFor('a call', function() return server.witness.ticks() == round end)
    end
    T.equal(server.witness.length(('x'):rep(90000)), 90000)
    T.equal(server:errorText(), '')
    server:stop()
  end
end)

test('servers with limits of their own', function()
  local small = start 'max_buffered_bytes = 1 << 20, max_frame_bytes = 500000'
  local peers = {}
  for i = 1, 5 do peers[i] = unfinished(small, 400000) end
  pressure.waitUntilClosed(peers)
  small:stop()
  for _, wrong in ipairs{0, -1, 1.5, 'much', {}} do
    T.fails("tango: bad configuration: 'max_buffered_bytes' must be a", tango.server.copas_socket.new,
      {port = 0, functab = {}, max_buffered_bytes = wrong})
  end
end)

T.finish()
