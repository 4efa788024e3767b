-- Lua RPC: peers of one process that call each other, with objects and code.
local copas, rpc = require 'copas', require 'rpc'
copas.setErrorHandler(function(message) print(message) end, true)

local api = {
  add = function(a, b) return a + b end,
  echo = function(...) return ... end,
  wait = function() copas.pause(0) return true end,
  fail = function() error 'failed' end,
  object = function() return {} end,
}
for k, v in pairs(_G) do api[k] = v end
local value = {1, {two = ('2'):rep(3000)}, 'three', true}

copas.addthread(function()
  local server = assert(rpc.newserveronly('127.0.0.1', 0, {
    functab = api, memory_limit = 8 << 20, allow = {'call', 'eval', 'newexec'}}))
  local peer = assert(rpc.newclient('127.0.0.1', (select(2, server:getsockname())), {timeout = 2}))
  for i = 1, 5 do
    assert(peer:call('add', i, 1) == i + 1)
    assert(peer:call('echo', ('e'):rep(10000 * i), value))
    peer:call 'wait'
  end
  pcall(peer.call, peer, 'fail')
  local double = peer:newexec(function(x) return 2 * x end)
  assert(double(21) == 42)
  assert(peer:call 'object')
  assert(peer:call('require', 'rpc'))
  local running = 5
  for _ = 1, 5 do
    copas.addthread(function()
      pcall(peer.call, peer, 'wait')
      running = running - 1
    end)
  end
  while running > 0 do copas.pause(0.001) end
  peer:close()
  server:close()
  os.exit(0)
end)
copas.addthread(function() copas.pause(1.5) os.exit(1) end)
copas.loop()
