-- socket: the native core, and what is made of Lua closures.

local socket = require "socket.core"
local streams = require "socket.streams"

socket.choose = require "socket.choose"
socket.sinkt, socket.sink = streams.sinkt, socket.choose(streams.sinkt)
socket.sourcet, socket.source = streams.sourcet, socket.choose(streams.sourcet)

return socket
