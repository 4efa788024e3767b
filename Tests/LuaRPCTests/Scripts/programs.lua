-- A program that calls itself over Lua RPC, with each function of the module.

local copas = require 'copas'
local processes = require 'processes'
local rpc = require 'rpc'
local T = require 'testing'
local test = T.test

local results, printed, served, port = {}, {}, {}, processes.freePort()
local originalPrint = print
-- Code that arrives sees the globals of this program.
print = function(...) printed[#printed + 1] = T.list(...) end
pressure = 'high'

local function double(x) return 2 * x end

copas(function()
  local server
  copas.addthread(function() server = assert(rpc.newserver('localhost', port)) end)
  local client = assert(rpc.newclient('localhost', port))
  while not server do copas.pause(0.001) end

  results.call = client:call('math.max', 7, 3)
  results.eval = client:eval 'pressure'
  results.text = client:newexec 'return 5'()
  client:newexec 'print(...)' 'valve'
  results.pieces = client:newexec {'local x = ...', ' return', ' x - 1'}(9)
  results.f = client:newexec(double)(21)
  client:close()
  server:close()

  local listening = assert(rpc.newserveronly('localhost', 0))
  for i = 1, 2 do
    local peer = assert(rpc.newclient('localhost', (select(2, listening:getsockname()))))
    served[i] = peer:call('math.max', i)
    peer:close()
  end
  listening:close()
end)

print = originalPrint

test('one peer', function()
  T.equal(results, {call = 7, eval = 'high', text = 5, pieces = 8, f = 42})
  T.equal(printed, {'("valve")'})
end)

test('a server of several peers', function() T.equal(served, {1, 2}) end)

test('the defaults are localhost and 1999', function()
  -- Another program may have that port.
  local server, reason = rpc.newserveronly()
  if server then
    T.equal({server:getsockname()}, {'127.0.0.1', 1999, 'inet'})
    server:close()
  else
    T.equal(reason, 'address already in use')
  end
end)

T.finish()
