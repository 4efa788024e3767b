-- Sends a 64-byte line to an echo server, waits for the answer, sends the next.
--
--   ping-pong.lua MESSAGES PORT

local socket = require 'socket'

local messages, port = math.tointeger(arg[1]), arg[2]

local peer = assert(socket.connect('127.0.0.1', port))
peer:setoption('tcp-nodelay', true)
local line = ('x'):rep(63)
local message = line .. '\n'
local start = socket.gettime()
for _ = 1, messages do
  peer:send(message)
  local answer, failure = peer:receive('*l')
  assert(answer == line, failure)
end
print(messages, socket.gettime() - start)
