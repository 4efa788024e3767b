-- Peers outside of the dispatcher: calls block, and serve what arrives meanwhile.

local copas = require 'copas'
local processes = require 'processes'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

function echo(...) return ... end

-- Another process that connects to us and runs the script.
local function connected(script)
  local l = assert(socket.bind('127.0.0.1', 0))
  local process = processes.milonga('support/echo_peer.lua', (select(2, l:getsockname())), script)
  local peer = rpc.newsession(assert(l:accept()))
  l:close()
  return peer, process
end

test('a blocked peer serves calls, and those call back', function()
  local peer, process = connected "while peer:call 'wait' do end"
  function wait() return peer:call('echo', 'back') end
  function fib(n) if n < 2 then return n end return peer:call('fib', n - 1) + peer:call('fib', n - 2) end
  T.equal(peer:call('fib', 12), 144)
  T.equal(peer:eval 'arg[2]' == nil, true)
  T.equal(peer:call('echo', 1, nil), 1)
  peer:close()
  process:waitForEnd()
  T.equal(process:errorText(), '')
end)

test('one side calls, the other side calls back', function()
  local peer, process = connected "print(peer:call('relay', 'echo', 5)) print(peer:call 'finish')"
  local finished
  function relay(name, ...) return peer:call(name, ...) + 1 end
  function finish() finished = true return 'done' end
  while not finished do peer:call 'echo' end
  process:waitForEnd()
  T.equal(process:text(), '6\ndone\n')
  T.equal(T.list(peer:call 'echo'), T.list(nil, 'closed'))
end)

test('newserver waits for one peer and closes its listener', function()
  local port = processes.freePort()
  local process = processes.milonga('support/echo_peer.lua', port, '')
  process:waitForEnd()
  T.contains(process:errorText(), 'connection refused')
  -- One that comes while we wait.
  local late = processes.lua('5.4', 'support/late.lua', port)
  local peer = assert(rpc.newserver('localhost', port))
  T.equal(T.list(rpc.newclient('localhost', port)), T.list(nil, 'connection refused'))
  T.equal(T.list(peer:call 'x'), T.list(nil, 'function not existing'))
  peer:close()
  late:stop()
end)

test('large messages in both directions at once', function()
  local peer, process = connected [[
    local text = ('x'):rep(60000)
    local list = {}
    for i = 1, 100 do list[i] = text .. i end
    for i = 1, 3 do assert(#peer:call('echo', list) == 100) end
    peer:call 'finish']]
  local finished
  function finish() finished = true end
  local list = {}
  for i = 1, 100 do list[i] = ('y'):rep(60000) .. i end
  while not finished do T.equal(#peer:call('echo', list), 100) end
  peer:close()
  process:waitForEnd()
  T.equal(process:errorText(), '')
end)

test('the same peer inside and outside of the dispatcher', function()
  local peer, process = connected 'peer:call "block"'
  function block() end
  -- The coroutine that reads answers the other side's call.
  T.equal(peer:call('echo', 'outside'), 'outside')
  local results = {}
  copas(function()
    for i = 1, 10 do
      copas.addthread(function()
        local ok, reason = peer:call('echo', i)
        results[i] = ok or reason
        -- Where a coroutine cannot be suspended, a call blocks.
        local sorted = {3, 1, 2}
        table.sort(sorted, function(a, b) return (peer:call('echo', a) or a) < b end)
        if i == 10 then peer:close() end
      end)
    end
  end)
  T.equal(#results, 10)
  process:waitForEnd()
end)

test('a coroutine that is nobody\'s', function()
  local peer, process = connected 'peer:call "nothing" while peer:call "again" do end'
  local count = 0
  function again() count = count + 1 return count < 5 end
  local f = coroutine.wrap(function()
    local text = peer:call('echo', 'first')
    coroutine.yield(text)
    return peer:call('echo', 'second')
  end)
  T.equal({f(), f()}, {'first', 'second'})
  while count < 5 do peer:call 'echo' end
  process:waitForEnd()
  peer:close()
end)

test('the other process dies in the middle of a call', function()
  local peer, process = connected 'peer:call "nothing" while true do peer:call "echo" end'
  function die() os.execute('kill -9 ' .. process.pid) return 1 end
  die()
  local reason
  repeat local _; _, reason = peer:call('echo', 1) until reason
  T.equal(reason, 'closed')
end)

test('a timeout', function()
  local l = assert(socket.bind('127.0.0.1', 0))
  local peer = T.patiently(function()
    return assert(rpc.newclient('127.0.0.1', (select(2, l:getsockname())), {timeout = 0.05}))
  end)
  T.equal(T.list(peer:call 'f'), T.list(nil, 'timeout'))
  peer:close()
  l:close()
end)

T.finish()
