-- The bystander of the soak test: calls the server while others keep it busy, and tells how many
-- calls there were, and how many milliseconds the worst one took.
--
--   milonga bystander.lua port seconds
local socket, tango = require 'socket', require 'tango'
local con = tango.client.socket.connect {address = '127.0.0.1', port = tonumber(arg[1])}
local calls, worst, deadline = 0, 0, socket.gettime() + tonumber(arg[2])
repeat
  local start = socket.gettime()
  con.note()
  calls, worst = calls + 1, math.max(worst, socket.gettime() - start)
  socket.sleep(0.005)
until socket.gettime() > deadline
print(('%d %.1f'):format(calls, worst * 1000))
