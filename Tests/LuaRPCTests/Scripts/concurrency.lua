-- Many calls at a time, in both directions.

local copas = require 'copas'
local expensive = require 'expensive'
local gate = require 'gate'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

function later(seconds, ...) copas.pause(seconds) return ... end
function echo(...) return ... end
hold = gate.hold
burn = expensive.burn
count = expensive.count

local server = assert(rpc.newserveronly('localhost', 0))
local port = select(2, server:getsockname())

-- Runs f(i) for i from 1 to n in threads, and waits for all.
local function all(n, f)
  local done, failure = 0, nil
  for i = 1, n do
    copas.addthread(function()
      local ok, reason = pcall(f, i)
      if not ok then failure = failure or reason end
      done = done + 1
    end)
  end
  while done < n do copas.pause(0.001) end
  assert(not failure, failure)
end

-- Two peers of which each knows the other as `rpcPeers[side]`.
local function pair()
  local l = assert(socket.bind('127.0.0.1', 0))
  local a = assert(socket.connect('127.0.0.1', (select(2, l:getsockname()))))
  local b = assert(l:accept())
  l:close()
  rpcPeers = {rpc.newsession(a), rpc.newsession(b)}
  return rpcPeers[1], rpcPeers[2]
end

function bounce(side, depth)
  if depth == 0 then return 'bottom', side end
  return rpcPeers[side]:call('bounce', 3 - side, depth - 1)
end

local function run()
  test('1,000 coroutines on one connection: more than there are numbers', function()
    local client = assert(rpc.newclient('localhost', port))
    local order = {}
    all(1000, function(i)
      T.equal(T.list(client:call('later', i % 7 == 0 and 0.01 or 0, i, 'x')), T.list(i, 'x'))
      order[#order + 1] = i
    end)
    T.equal(#order, 1000)
    client:close()
  end)

  test('answers come in any order', function()
    local client = assert(rpc.newclient('localhost', port))
    local order = {}
    all(6, function(i)
      if i < 6 then
        local answer = client:call('hold', i)
        order[#order + 1] = answer
        return
      end
      for key = 5, 1, -1 do
        gate.release(1, key)
        while #order < 6 - key do copas.pause(0.001) end
      end
    end)
    T.equal(order, {5, 4, 3, 2, 1})
    client:close()
  end)

  test('the 257th call waits for a free number', function()
    local client = assert(rpc.newclient('localhost', port))
    local finished = {}
    for i = 1, 256 do
      copas.addthread(function() client:call('hold', i == 100 and 'first' or 'others') finished[i] = true end)
    end
    local answered
    copas.addthread(function() answered = client:call('echo', 'late') end)
    gate.holding(255, 'others')
    copas.pause(0.02)
    T.equal(answered, nil)
    gate.release(1, 'first')
    while not answered do copas.pause(0.005) end
    T.equal({answered, finished[100], finished[99]}, {'late', true, nil})
    gate.release(255, 'others')
    -- Calls that wait for a number hear of the end, too.
    local ends = 0
    for _ = 1, 300 do
      copas.addthread(function()
        local _, reason = client:call('later', 100)
        if reason == 'closed' then ends = ends + 1 end
      end)
    end
    copas.pause(0.01)
    client:close()
    while ends < 300 do copas.pause(0.001) end
  end)

  test('threads that are removed while they wait', function()
    local client = assert(rpc.newclient('localhost', port))
    local threads = {}
    for i = 1, 300 do
      threads[i] = copas.addthread(function() client:call('hold', 'removed', i) end)
    end
    copas.pause(0.01)
    for i = 1, 300, 2 do copas.removethread(threads[i]) end
    gate.release(256, 'removed')
    copas.addthread(function() gate.release(22, 'removed') end)
    all(300, function(i) T.equal(client:call('echo', i), i) end)
    client:close()
  end)

  test('recursion across the wire', function()
    local a, b = pair()
    T.equal(T.list(a:call('bounce', 2, 100)), T.list('bottom', 2))
    all(20, function(i) T.equal(T.list(a:call('bounce', 2, i)), T.list('bottom', i % 2 == 0 and 2 or 1)) end)
    a:close()
    b:close()
  end)

  test('both directions at once, small and large', function()
    local a, b = pair()
    local text = ('0123456789'):rep(6000)
    local large = {}
    for i = 1, 30 do large[i] = text .. i end
    all(200, function(i)
      local peer = i % 2 == 0 and a or b
      if i % 10 < 2 then
        local back = peer:call('echo', large)
        assert(#back == 30 and back[30] == large[30])
      else
        T.equal(peer:call('later', 0.001, i), i)
      end
    end)
    a:close()
    b:close()
  end)

  test('a call with a timeout', function()
    local client = T.patiently(function() return assert(rpc.newclient('localhost', port, {timeout = 0.1})) end)
    T.equal(T.list(client:call('hold', 'timeout')), T.list(nil, 'timeout'))
    local function answers(i) T.patiently(function(j) T.equal({client:call('echo', i, j)}, {i, j}) end) end
    all(300, answers)
    gate.release(1, 'timeout')
    answers 'again'
    client:close()
  end)

  test('a thread that serves a call is removed', function()
    local a, b = pair()
    function removed() copas.removethread(coroutine.running()) copas.pause(1) end
    T.fails('the thread that served the call was removed', a.call, a, 'removed')
    T.equal(a:call('echo', 1), 1)
    a:close()
    b:close()
  end)

  test('a function that starts threads which wait does not hold up the connection', function()
    local a, b = pair()
    function starts() copas.addthread(function() hold 'thread' end) return hold 'started' end
    local result
    copas.addthread(function() result = a:call 'starts' end)
    for i = 1, 50 do T.equal(a:call('echo', i), i) end
    T.equal(result, nil)
    gate.release(1, 'thread')
    gate.release(1, 'started')
    while not result do copas.pause(0.005) end
    a:close()
    b:close()
  end)

  test('someone else wakes a caller', function()
    local client = assert(rpc.newclient('localhost', port))
    local result
    local thread = copas.addthread(function() result = client:call('hold', 'right') end)
    for _ = 1, 5 do copas.pause(0.002) copas.wakeup(thread) end
    T.equal(result, nil)
    gate.release(1, 'right')
    while not result do copas.pause(0.005) end
    T.equal(result, 'right')
    client:close()
  end)

  test('calls that compute: another client is served between those of a batch', function()
    local raw = socket.tcp()
    assert(copas.connect(raw, '127.0.0.1', port))
    local other = assert(rpc.newclient('127.0.0.1', port))
    T.equal(other:call('echo', 1), 1)
    expensive.begun = 0
    assert(copas.send(raw, ('\0\1\0\0\0\7\4\0\4burn'):rep(100)))
    while expensive.begun == 0 do copas.pause() end
    local most = 0
    for i = 1, 5 do
      local before = expensive.begun
      T.equal(other:call('echo', i), i)
      most = math.max(most, expensive.begun - before)
    end
    assert(most <= 8, most)
    assert(expensive.begun < 100, expensive.begun)
    while expensive.begun < 100 do copas.pause() end
    other:close()
    raw:close()
  end)

  test('calls that cost nothing: another client is served between those of a batch', function()
    local raw = socket.tcp()
    assert(copas.connect(raw, '127.0.0.1', port))
    local other = assert(rpc.newclient('127.0.0.1', port))
    T.equal(other:call('echo', 1), 1)
    expensive.begun = 0
    copas.addthread(function() copas.send(raw, ('\0\1\0\0\0\8\4\0\5count'):rep(20000)) end)
    copas.addthread(function() while copas.receive(raw, 4096) do end end)
    while expensive.begun == 0 do copas.pause() end
    local most = 0
    for i = 1, 5 do
      local before = expensive.begun
      T.equal(other:call('echo', i), i)
      most = math.max(most, expensive.begun - before)
    end
    assert(most <= 64 * 8, most)
    assert(expensive.begun < 20000, expensive.begun)
    while expensive.begun < 20000 do copas.pause() end
    other:close()
    raw:close()
  end)

  T.finish()
end

copas(run)
