-- oks: 5
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local size = 24 * 1024 * 1024
local block = {}
for i = 1, 256 do block[i] = string.char(i - 1) end
local data = table.concat(block):rep(size // 256)

-- Both ends send all they have before either reads to its end.
local server, port = check.listener()
local received = {}
copas.addserver(server, function(skt)
  local sent
  copas.addthread(function() sent = assert(copas.send(skt, data)) end)
  received.server = copas.receive(skt, size)
  while not sent do copas.pause(0.001) end
end)
check.run(function()
  local c = socket.connect("127.0.0.1", port)
  copas.addthread(function()
    assert(copas.send(c, data))
  end)
  received.client = copas.receive(c, size)
  copas.removeserver(server)
end)
check.ok("large transfers both ways", received.server == data and received.client == data)

-- many at once, to the end
server, port = check.listener()
local piece = data:sub(1, 512 * 1024)
local good = 0
copas.addserver(server, function(skt) copas.send(skt, piece) end)
for _ = 1, 40 do
  copas.addthread(function()
    local c = socket.connect("127.0.0.1", port)
    if copas.receive(c, "*a") == piece then good = good + 1 end
    c:close()
    if good == 40 then copas.removeserver(server) end
  end)
end
copas.loop()
check.equal("many at once, to the end", good, 40)

-- a long line, and one that is longer than any buffer
server, port = check.listener()
copas.addserver(server, function(skt)
  copas.send(skt, ("y"):rep(5000000) .. "\n")
  copas.send(skt, "end\n")
end)
check.run(function()
  local c = socket.connect("127.0.0.1", port)
  local line = copas.receive(c)
  check.equal("a long line", #line, 5000000)
  check.equal("and what follows", copas.receive(c), "end")
  copas.removeserver(server)
end)

-- ranges
server, port = check.listener()
copas.addserver(server, function(skt) copas.send(skt, data, 1001, 5001000) end)
check.run(function()
  local c = socket.connect("127.0.0.1", port)
  check.ok("a range", copas.receive(c, "*a") == data:sub(1001, 5001000))
  copas.removeserver(server)
end)
