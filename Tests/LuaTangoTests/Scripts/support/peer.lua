-- A peer that breaks the rules. It sends a text to its first client as soon as the client has sent
-- something, and closes the connection, unless it is told to `stay`.
--
--   peer.lua TEXT [stay]

local socket = require 'socket'

local server = assert(socket.bind('127.0.0.1', 0))
local _, port = server:getsockname()
io.stdout:setvbuf 'line'
print('listening ' .. ('%d'):format(port))
local client = server:accept()
client:receive(1)
client:send(arg[1])
if arg[2] ~= 'stay' then client:shutdown 'send' end
-- Closed with unread bytes, the connection would be reset, and the text perhaps lost.
client:settimeout(60)
client:receive('*a')
if arg[2] == 'stay' then socket.sleep(10) end
