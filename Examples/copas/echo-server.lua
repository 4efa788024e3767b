-- An echo server: sends every line back, to as many clients as come.
--
--   build/milonga Examples/copas/echo-server.lua [PORT]     then:  telnet localhost PORT

local socket = require 'socket'
local copas = require 'copas'

local server = assert(socket.bind('127.0.0.1', tonumber(arg[1]) or 0))
local address, port = server:getsockname()
print(('echoing lines on %s:%s; say "quit" to leave'):format(address, port))

copas.addserver(server, copas.handler(function(client)
  client:settimeout(300)
  while true do
    local line, err = client:receive('*l')
    if not line then
      if err ~= 'closed' then print('client dropped: ' .. err) end
      return
    end
    if line == 'quit' then return end
    client:send(line .. '\n')
  end
end))

copas()
