-- Many calls at a time, in both directions.

local copas = require 'copas'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

function later(seconds, ...) copas.pause(seconds) return ... end
function echo(...) return ... end

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
    all(5, function(i)
      local answer = client:call('later', (6 - i) * 0.02, i)
      order[#order + 1] = answer
    end)
    T.equal(order, {5, 4, 3, 2, 1})
    client:close()
  end)

  test('the 257th call waits for a free number', function()
    local client = assert(rpc.newclient('localhost', port))
    local finished = {}
    for i = 1, 256 do
      copas.addthread(function() client:call('later', i == 100 and 0.05 or 0.3) finished[i] = true end)
    end
    local answered
    copas.addthread(function() answered = client:call('echo', 'late') end)
    copas.pause(0.02)
    T.equal(answered, nil)
    while not answered do copas.pause(0.005) end
    T.equal({answered, finished[100], finished[99]}, {'late', true, nil})
    -- Those that wait for a number hear of the end, too.
    local ends = 0
    for _ = 1, 300 do
      copas.addthread(function()
        local _, reason = client:call('later', 10)
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
      threads[i] = copas.addthread(function() client:call('later', 0.05, i) end)
    end
    copas.pause(0.01)
    for i = 1, 300, 2 do copas.removethread(threads[i]) end
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
    local client = assert(rpc.newclient('localhost', port, {timeout = 0.05}))
    T.equal(T.list(client:call('later', 0.2, 'x')), T.list(nil, 'timeout'))
    all(300, function(i) T.equal(client:call('echo', i), i) end)
    copas.pause(0.2)
    T.equal(client:call('echo', 'again'), 'again')
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
    function starts() copas.addthread(function() copas.pause(0.2) end) copas.pause(0.2) return 'started' end
    local result
    copas.addthread(function() result = a:call 'starts' end)
    local start = socket.gettime()
    for i = 1, 50 do T.equal(a:call('echo', i), i) end
    assert(socket.gettime() - start < 0.15, 'held up')
    while not result do copas.pause(0.005) end
    a:close()
    b:close()
  end)

  test('someone else wakes a caller', function()
    local client = assert(rpc.newclient('localhost', port))
    local result
    local thread = copas.addthread(function() result = client:call('later', 0.05, 'right') end)
    for _ = 1, 5 do copas.pause(0.002) copas.wakeup(thread) end
    while not result do copas.pause(0.005) end
    T.equal(result, 'right')
    client:close()
  end)

  T.finish()
end

copas(run)
