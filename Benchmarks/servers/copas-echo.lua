-- An echo server as a Copas program has it: a coroutine per connection.
-- Runs unchanged on Milonga and on stock Lua with Copas.
--
--   copas-echo.lua [SIZE | line] [SECONDS]    messages of SIZE bytes (64), or lines; with a timeout

local socket = require 'socket'
local copas = require 'copas'

local function echo_fixed(size)
  return function(peer)
    while true do
      local data = peer:receive(size)
      if not data or not peer:send(data) then return end
    end
  end
end

local function echo_lines(peer)
  while true do
    local line = peer:receive('*l')
    if not line or not peer:send(line .. '\n') then return end
  end
end

local message = arg[1] or '64'
local echo = message == 'line' and echo_lines or echo_fixed(assert(tonumber(message), 'SIZE or line'))

local listener = assert(socket.bind('127.0.0.1', 0, 1024))
local _, port = listener:getsockname()
copas.addserver(listener, copas.handler(echo), tonumber(arg[2]))
print('listening ' .. math.floor(port))
io.stdout:flush()
copas.loop()
