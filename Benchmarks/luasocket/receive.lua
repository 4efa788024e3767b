-- Receives so many bytes of 64-byte lines from a peer that sends as fast as it can.
--
--   receive.lua PATTERN BYTES PORT   PATTERN: *l, *a or a number, as `receive` takes them

local socket = require 'socket'

local pattern, expected, port = arg[1], math.tointeger(arg[2]), arg[3]
local line_end = pattern == '*l' and 1 or 0
pattern = math.tointeger(pattern) or pattern

local peer = assert(socket.connect('127.0.0.1', port))
local bytes = 0
local start = socket.gettime()
while bytes < expected do
  local data, failure, rest = peer:receive(pattern)
  if not data then
    assert(failure == 'closed', failure)
    bytes = bytes + #rest
    break
  end
  bytes = bytes + #data + line_end
end
local seconds = socket.gettime() - start
assert(bytes == expected, ('%d bytes instead of %d'):format(bytes, expected))
print(bytes, seconds)
