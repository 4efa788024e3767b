-- lua5.1: the original as a peer. LUA_PATH and LUA_CPATH lead to it.
--
--   original_peer.lua server        listens, for many
--   original_peer.lua client PORT   connects

sched = require 'sched'
local rpc = require 'rpc'
local socket = require 'socket'

-- The peer that connected last.
peer = nil

function echo(...) return ... end
function add(a, b) return a + b end
function fail(value) error(value, 0) end
function holes() return 'a', nil, 'three' end
function later(seconds, ...) sched.wait(seconds) return ... end
function fib(n) if n < 2 then return n end return peer:call('fib', n - 1) + peer:call('fib', n - 2) end
data = {list = {10, 20, {30}}, x = 5}

local function same(a, b)
  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

-- Makes the calls of the original's own test, with the other side as the peer. Returns the names of
-- the calls that failed.
function test()
  local failures = {}
  local function check(name, ok) if not ok then failures[#failures + 1] = name end end
  local function list(...) return {n = select('#', ...), ...} end
  check('echo', same(list(peer:call('echo', 'Hello', ' ', nil, 'there', '!')), list('Hello', ' ', nil, 'there', '!')))
  check('holes', same(list(peer:call 'holes'), list('a', nil, 'three')))
  check('print', list(peer:call('type', 'x'))[1] == 'string')
  check('eval', same(peer:eval 'data', data))
  check('eval of nothing', peer:eval 'nothing' == nil)
  check('newexec', peer:newexec 'return ... + 1' (42) == 43)
  check('newexec of pieces', peer:newexec {'return', ' ... + 1'} (42) == 43)
  local ok, reason = copcall(function() return peer:newexec "error('hi')" () end)
  check('newexec of an error', not ok and reason:find 'rpc:1: hi')
  -- The function is bytecode of Lua 5.1, and the error says so.
  ok, reason = copcall(peer.newexec, peer, function(x) return x + 1 end)
  check('newexec of a function', not ok and reason:find 'bytecode of Lua 5.1' and reason:find 'source text')
  ok, reason = copcall(peer.call, peer, 'fail', {'some error'})
  check('an error that is a table', not ok and same(reason, {'some error'}))
  ok, reason = copcall(peer.call, peer, 'fail', 'text')
  check('an error that is a text', not ok and reason == 'Error in remote call:\ntext')
  check('not existing', select(2, peer:call 'rpc.RPCxUnitCallxxx') == 'function not existing')
  check('no function', select(2, peer:call 'data') == 'not a function')
  check('numbers', peer:call('add', 0.5, 1) == 1.5 and peer:call('add', 2147483647, 1) == 2147483648)
  local object = peer:call('require', 'string')
  check('an object', object == peer:call('require', 'string') and peer:call('type', object) == 'table')
  check('recursion', peer:call('fib', 7) == 13)
  return failures
end

-- The seconds of a call: those of the slowest call among the quickest quarter.
function measure(count)
  local times = {}
  for i = 1, count do
    local start = socket.gettime()
    assert(peer:call('add', i, 1) == i + 1)
    times[i] = socket.gettime() - start
  end
  table.sort(times)
  return times[math.ceil(count / 4)]
end

sched.run(function()
  if arg[1] == 'client' then
    peer = assert(rpc.newclient('127.0.0.1', tonumber(arg[2])))
  else
    local server = assert(socket.bind('127.0.0.1', 0, function(skt) peer = rpc.newsession(skt) end))
    io.stdout:write('listening ', (select(2, server:getsockname())), '\n')
    io.stdout:flush()
  end
end)
sched.loop()
