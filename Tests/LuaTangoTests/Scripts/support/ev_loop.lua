-- A server as the original's users write it, on the port that the argument says.

local tango = require 'tango'

function add(a, b) return a + b end

io.stdout:setvbuf 'line'
print 'ready'
tango.server.ev_socket.loop{port = arg[1]}
