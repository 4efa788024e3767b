-- A tango server that offers `echo`. Runs unchanged on Milonga and on the original
-- tango (Lua 5.1). tango listens on a port it is told, so the port is an argument;
-- it is announced before tango listens, and the driver waits until it accepts.
--
--   tango-echo.lua [copas_socket|ev_socket|zmq] PORT

local tango = require 'tango'
local port = assert(tonumber(arg[#arg]), 'PORT expected')
local backEnd = arg[2] and arg[1] or 'copas_socket'

echo = function(...) return ... end

print('listening ' .. port)
io.stdout:flush()
tango.server[backEnd].loop{interface = '127.0.0.1', port = port, url = 'tcp://127.0.0.1:' .. port}
