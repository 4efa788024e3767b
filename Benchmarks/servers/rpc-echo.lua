-- An rpc server that offers `echo`.

local copas = require 'copas'
local rpc = require 'rpc'

echo = function(...) return ... end

local server = assert(rpc.newserveronly('127.0.0.1', 0))
print('listening ' .. math.tointeger((select(2, server:getsockname()))))
io.stdout:flush()
copas.loop()
