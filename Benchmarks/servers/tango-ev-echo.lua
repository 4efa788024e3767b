-- tango-echo.lua on the event-driven back end.
--
--   tango-ev-echo.lua PORT

local tango = require 'tango'
local port = assert(tonumber(arg[1]), 'PORT expected')

echo = function(...) return ... end

print('listening ' .. port)
io.stdout:flush()
tango.server.ev_socket.loop{interface = '127.0.0.1', port = port}
