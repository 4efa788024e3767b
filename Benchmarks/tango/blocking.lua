-- A client that calls `echo`, one call after the other, without a scheduler. Prints how many calls,
-- and the seconds.
--
--   blocking.lua SECONDS PORT

local socket, tango = require 'socket', require 'tango'
local seconds, port = tonumber(arg[1]), tonumber(arg[2])

local con = tango.client.socket.connect { address = '127.0.0.1', port = port }
local text, calls = ('x'):rep(32), 0
local start = socket.gettime()
repeat
  for _ = 1, 16 do assert(con.echo(text) == text) end
  calls = calls + 16
until socket.gettime() - start > seconds
print(calls, socket.gettime() - start)
