-- Against the original, which runs on Lua 5.1. Run by OriginalTests, which say where it is.
--
--   original.lua client|server   (see support/original_peer.lua for the other side)

local copas = require 'copas'
local processes = require 'processes'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

local original = assert(os.getenv 'MILONGA_RPC_ORIGINAL')

function echo(...) return ... end
function add(a, b) return a + b end
function fail(value) error(value, 0) end
function holes() return 'a', nil, 'three' end
function later(seconds, ...) copas.pause(seconds) return ... end
function fib(n) if n < 2 then return n end return peer:call('fib', n - 1) + peer:call('fib', n - 2) end
data = {list = {10, 20, {30}}, x = 5}

-- The calls that either side makes of the other; `support/original_peer.lua` has the same
-- functions.
local function calls(how)
  local function test(name, f) T.test(name .. ', ' .. how, f) end

  test('values', function()
    local cycle = {}
    cycle.me = cycle
    for _, value in ipairs{0, -1, 2147483647, -2147483648, 0.5, 1e300, 1/0, 'text', '', ('x'):rep(65534),
      'a\0b\255\n', true, false, {}, {1, 2, {3}}, {a = 1, [1.5] = 2, [true] = 'x'}, {'p', 'q', 'p', 'q'}} do
      T.equal(peer:call('echo', value), value)
    end
    local back = peer:call('echo', cycle)
    assert(back.me == back)
    T.equal(T.list(peer:call('echo', 1, nil, 'x')), T.list(1, nil, 'x'))
    -- It has floats only, and sends integral ones as integers.
    T.equal(T.list(peer:call('echo', 3.0)), '(3)')
    T.equal(T.list(peer:call 'holes'), T.list('a', nil, 'three'))
    T.equal(peer:call('add', 2^40 + 0.5, 1), 2^40 + 1.5)
  end)

  test('errors', function()
    T.equal(T.fails(nil, peer.call, peer, 'fail', 'boom'), 'Error in remote call:\nboom')
    T.equal(T.fails(nil, peer.call, peer, 'fail', {'some error'}), {'some error'})
    T.equal(T.list(peer:call 'no.such'), T.list(nil, 'function not existing'))
    T.equal(T.list(peer:call 'data'), T.list(nil, 'not a function'))
    T.equal(T.list(peer:eval 'io.stdout'), T.list(nil, 'bad status 4', 'Cannot serialize result'))
  end)

  test('eval, newexec, objects', function()
    T.equal(peer:eval 'data.list.3.1', 30)
    T.equal(peer:eval 'nothing', nil)
    T.equal(peer:newexec 'return ... + 1'(41), 42)
    T.equal(peer:newexec{'return', ' ... + 1'}(41), 42)
    T.equal(peer:newexec(function(x) return x + 1 end)(41), 42)
    local string = peer:call('require', 'string')
    T.equal(string == peer:call('require', 'string'), true)
    T.equal(peer:call('type', string), 'table')
  end)

  test('both directions at once, and recursion', function()
    T.equal(peer:call('fib', 8), 21)
  end)
end

if arg[1] == 'server' then
  -- The original connects to us; it tests, too.
  local l = assert(socket.bind('127.0.0.1', 0))
  local process = processes.original(original, 'support/original_peer.lua', 'client', (select(2, l:getsockname())))
  copas(function()
    copas.addserver(l, function(skt)
      peer = rpc.newsession(skt)
      calls 'the original is the client'
      test("the original's calls of us", function()
        local failures = peer:call 'test'
        T.equal(failures, {})
      end)
      test('a call takes no longer than it must', function()
        -- 84 ms each, if neither side acknowledged at once.
        local seconds = peer:call('measure', 200)
        assert(seconds < 0.04, seconds .. ' s')
      end)
      peer:close()
      copas.removeserver(l)
    end)
  end)
  process:stop()
else
  local process = processes.original(original, 'support/original_peer.lua', 'server')
  local port = tonumber(process:waitForOutput 'listening (%d+)\n')
  -- Outside of the dispatcher, and inside.
  peer = assert(rpc.newclient('127.0.0.1', port))
  calls 'the original is the server, blocking'
  peer:close()
  copas(function()
    peer = assert(rpc.newclient('127.0.0.1', port))
    calls 'the original is the server, in a Copas thread'
    test('a call takes no longer than it must', function()
      local times = {}
      for i = 1, 200 do
        local start = socket.gettime()
        T.equal(peer:call('add', i, 1), i + 1)
        times[i] = socket.gettime() - start
      end
      table.sort(times)
      assert(times[50] < 0.04, times[50] .. ' s')
    end)
    test('the end in the middle of a call', function()
      local results
      local _ = copas.addthread(function() results = T.list(peer:call('later', 100)) end)
      copas.pause(0.05)
      process:stop()
      while not results do copas.pause(0.005) end
      T.equal(results, T.list(nil, 'closed'))
    end)
  end)
end

T.finish()
