-- The examples of the documentation (seeds/rpc.txt), as they are, on another port than 1999.

local copas = require 'copas'
local processes = require 'processes'
local rpc = require 'rpc'
local T = require 'testing'
local test = T.test

-- Runs statements of the documentation with these variables.
local function run(text, variables)
  return assert(load(text, text, 't', setmetatable(variables, {__index = _G})))()
end

local results, printed, two, port = {}, {}, {}, processes.freePort()
local originalPrint = print
-- What is executed on the other side sees the globals of this program.
print = function(...) printed[#printed + 1] = T.list(...) end
somevariable = 'some value'

copas(function()
  local v = {
    rpc = rpc, address = 'localhost', port = port, newserveronly = rpc.newserveronly,
    procedureID = 'math.max', procedureParams = 7, somevariablename = 'somevariable',
    script = 'return 5',
  }
  local server
  copas.addthread(function()
    server = run(' client, err = rpc.newserver(address, port) return client', {address = v.address, port = port, rpc = rpc})
  end)
  run(' client, err = rpc.newclient(address, port) ', v)
  while not server do copas.pause(0.001) end

  results.call = run('results = client:call(procedureID, procedureParams) return results', v)
  results.eval = run(' value = client:eval(somevariablename) return value', v)
  results.newexec = run(' f = client:newexec(script) return f()', v)
  run([[
local f = client:newexec("print(...)")
f("toto") -- will call the remote function print giving "toto" as argument
]], v)
  results.pieces = run([[
local f = client:newexec({"return", " ... + 1"})
return f(1) -- will return the computation of 1+1 executed remotly
]], v)
  -- The documentation has lost the `end` of g.
  results.f = run([[
local function g(x)
   return x+1
end
local f = client:newexec(g)
return f(1) -- will return the computation equivalent to the function g but executed remotely
]], v)
  v.client:close()
  server:close()

  v.port = 0
  local listening = run(' status, err = newserveronly(address, port) return status', v)
  for i = 1, 2 do
    local client = assert(rpc.newclient('localhost', (select(2, listening:getsockname()))))
    two[i] = client:call('math.max', i)
    client:close()
  end
  listening:close()
end)

print = originalPrint

test('the examples', function()
  T.equal(results, {call = 7, eval = 'some value', newexec = 5, pieces = 2, f = 2})
  T.equal(printed, {'("toto")'})
  T.equal(two, {1, 2})
end)

test('the defaults are localhost and 1999', function()
  -- Nobody can rely on that port: it is free, or taken by somebody else.
  local server, reason = rpc.newserveronly()
  if server then
    T.equal({server:getsockname()}, {'127.0.0.1', 1999, 'inet'})
    server:close()
  else
    T.equal(reason, 'address already in use')
  end
end)

T.finish()
