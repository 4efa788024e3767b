-- What peers make a server hold, in total: messages that do not end, answers that are not read,
-- large calls.

local pressure = require 'pressure'
local processes = require 'processes'
local raw = require 'raw'
local rpc = require 'rpc'
local T = require 'testing'
local test = T.test

local MB = 1 << 20

local function start(configuration, setup)
  local server = processes.server(configuration, [[
    -- Several strings, for none may be long.
    function big(n) return table.unpack(big_list, 1, n) end
    big_list = {}
    for i = 1, 250 do big_list[i] = ('x'):rep(60000) end
    function keep(...) hold() return select('#', ...) end
  ]] .. (setup or ''))
  server.witness = assert(rpc.newclient('127.0.0.1', server.port))
  return server
end

local function call(server, ...)
  local results = table.pack(server.witness:call(...))
  assert(results[1] ~= nil or results.n < 2, results[2])
  return table.unpack(results, 1, results.n)
end

local function push(peer, text)
  pressure.push(peer, text)
  peer:settimeout(60)
end

local function unfinished(server, bytes)
  local peer = raw.connect(server.port)
  push(peer, '\0\0' .. string.pack('>I4', bytes + 100) .. ('\0'):rep(bytes))
  return peer
end

test('messages that do not end', function()
  local server = start 'max_buffered_bytes = 16 << 20, max_frame_bytes = 4 << 20'
  local before = server:peakMemory()
  local peers = {}
  for i = 1, 20 do
    peers[i] = unfinished(server, 3000000)
    T.equal(call(server, 'count', table.unpack({}, 1, 100)), 100)
  end
  pressure.waitUntilClosed(peers)
  assert(server:peakMemory() - before < 40 * MB, ('%d bytes'):format(server:peakMemory() - before))
  local lines = server:errorLines(1)
  T.contains(lines[1], 'disconnected: it holds ')
  T.contains(lines[1], 'hold more than 16777216 bytes together (max_buffered_bytes)')
  for _, peer in ipairs(peers) do peer:close() end
  T.equal(call(server, 'add', 1, 2), 3)
  server:stop()
end)

test('who waits for room takes no turns', function()
  local server = start('max_buffered_bytes = 8 << 20, max_frame_bytes = 4 << 20', pressure.countTurns)
  local peers = {}
  for i = 1, 4 do peers[i] = unfinished(server, 3000000) end
  -- The system has bytes of those who wait, until one is disconnected.
  pressure.waitUntilClosed(peers)
  local turns = call(server, 'turns')
  assert(turns < 500, turns)
  server:stop()
end)

test('answers that nobody reads', function()
  local server = start 'max_buffered_bytes = 40 << 20'
  local peers = {}
  for i = 1, 8 do
    peers[i] = raw.connect(server.port)
    push(peers[i], raw.call(1, 'big', 240))
  end
  T.contains(server:errorLines(1)[1], 'max_buffered_bytes')
  T.equal(call(server, 'add', 1, 2), 3)
  for _, peer in ipairs(peers) do peer:close() end
  server:stop()
end)

test('who reads slowly gets everything', function()
  local server = start 'max_buffered_bytes = 20 << 20'
  local peer = raw.connect(server.port)
  push(peer, raw.call(1, 'big', 240))
  local _, _, size = string.unpack('>BBI4', peer:receive(6))
  while size > 0 do
    size = size - #assert(peer:receive(math.min(size, 1000000)))
    T.equal(call(server, 'add', 1, 2), 3)
  end
  T.equal(server:errorText(), '')
  server:stop()
end)

test('calls that run count, and are answered', function()
  local server = start 'max_buffered_bytes = 11 << 20, max_frame_bytes = 4 << 20'
  local peers, arguments = {}, {}
  for i = 1, 50 do arguments[i] = ('x'):rep(60000) end
  local message = raw.call(1, 'keep', table.unpack(arguments))
  for i = 1, 3 do
    peers[i] = raw.connect(server.port)
    assert(peers[i]:send(message))
  end
  call(server, 'holding', 3)
  local other = unfinished(server, 3000000)
  T.equal(call(server, 'add', 1, 2), 3)
  pressure.waitUntilClosed{other}
  T.equal(#server:errorLines(1), 1)
  call(server, 'release', 3)
  for _, peer in ipairs(peers) do
    T.equal(select(3, raw.receive(peer)), '\0' .. raw.value(50))
  end
  -- Nothing of it counts any more.
  for i = 1, 3 do
    assert(peers[i]:send((message:gsub('keep', 'echo', 1))))
    T.equal(select(2, raw.receive(peers[i])), 1)
  end
  T.equal(#server:errorLines(1), 1)
  server:stop()
end)

test('a limit that is none', function()
  for _, wrong in ipairs{0, -1, 1.5, 'much', {}} do
    T.fails("rpc: bad configuration: 'max_buffered_bytes' must be a", rpc.newserveronly, 'localhost', 0,
      {functab = {}, max_buffered_bytes = wrong})
  end
end)

T.finish()
