-- One connection to an echo server is busy, many more are idle: how often `select` finds the one.
--
--   select.lua IDLE ROUNDS PORT

local socket = require 'socket'

local idle, rounds, port = math.tointeger(arg[1]), math.tointeger(arg[2]), arg[3]

local watched = {}
for i = 1, idle + 1 do watched[i] = assert(socket.connect('127.0.0.1', port)) end
local busy = watched[idle // 2]
busy:setoption('tcp-nodelay', true)
local line = ('x'):rep(63)
local message = line .. '\n'
local start = socket.gettime()
for _ = 1, rounds do
  busy:send(message)
  local ready = socket.select(watched, nil, 5)
  assert(#ready == 1 and ready[1] == busy, 'not the busy one')
  assert(busy:receive('*l') == line)
end
print(rounds, socket.gettime() - start)
