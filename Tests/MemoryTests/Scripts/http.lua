-- socket.http and copas.http against a small server of this program.
local copas, socket = require 'copas', require 'socket'
copas.setErrorHandler(function(message) copas.failure = message end, true)
local http, ltn12 = require 'copas.http', require 'ltn12'

local server = assert(socket.bind('127.0.0.1', 0))
local _, port = server:getsockname()
copas.addserver(server, copas.handler(function(skt)
  repeat local line = skt:receive() until not line or line == ''
  local body = ('b'):rep(50000)
  skt:send('HTTP/1.1 200 OK\r\nX-Field: value\r\nContent-Length: ' .. #body .. '\r\n\r\n' .. body)
  skt:close()
end))
copas.addthread(function()
  local url = 'http://127.0.0.1:' .. port .. '/'
  assert(#assert(http.request(url)) == 50000)
  local parts = {}
  assert(http.request {url = url, sink = ltn12.sink.table(parts)})
  os.exit(0)
end)
copas.addthread(function() copas.pause(1.5) os.exit(1) end)
copas.loop()
