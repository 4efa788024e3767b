-- Stock Lua: connects to PORT as soon as a server listens, and answers one call: there is no such
-- function.

local socket = require 'socket'

local peer
repeat
  peer = socket.connect('127.0.0.1', tonumber(arg[1]))
  if not peer then socket.sleep(0.01) end
until peer
local header = peer:receive(6)
peer:receive((string.unpack('>I4', header, 3)))
peer:send('\1' .. header:sub(2, 2) .. '\0\0\0\1\2')
peer:receive(1)
