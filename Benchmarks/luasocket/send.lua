-- Sends so many bytes in pieces to a peer that reads as fast as it can, until all have arrived.
--
--   send.lua SIZE BYTES PORT   SIZE of a piece

local socket = require 'socket'

local size, bytes, port = math.tointeger(arg[1]), math.tointeger(arg[2]), arg[3]

local peer = assert(socket.connect('127.0.0.1', port))
local piece = ('x'):rep(size)
local start = socket.gettime()
for _ = 1, bytes // size do assert(peer:send(piece)) end
peer:shutdown('send')
local arrived = assert(peer:receive('*l'))
local seconds = socket.gettime() - start
assert(math.tointeger(arrived) == bytes // size * size, arrived)
print(arrived, seconds)
