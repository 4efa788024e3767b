-- oks: 3
local copas = require "copas"
local socket = require "socket"
local check = require "check"

-- All connections are there before the server has its first turn.
local server, port = check.listener()
local served = 0
copas.addserver(server, function(skt)
  served = served + 1
  copas.send(skt, served .. "\n")
end)
local clients = {}
for i = 1, 500 do clients[i] = assert(socket.connect("127.0.0.1", port)) end
local answers = 0
check.run(function()
  for _, c in ipairs(clients) do
    if copas.receive(c) then answers = answers + 1 end
    c:close()
  end
  check.equal("a burst before the loop", answers, 500)
  -- in the loop, without a pause
  for i = 1, 500 do clients[i] = assert(socket.connect("127.0.0.1", port)) end
  answers = 0
  for _, c in ipairs(clients) do
    if copas.receive(c) then answers = answers + 1 end
    c:close()
  end
  check.equal("a burst in the loop", answers, 500)
  -- connections that are gone before they are accepted
  for i = 1, 200 do
    local c = socket.connect("127.0.0.1", port)
    if i % 2 == 0 then check.reset(c) else c:close() end
  end
  local c = socket.connect("127.0.0.1", port)
  check.ok("after those that went away", tonumber((copas.receive(c))) > 1000)
  copas.removeserver(server)
end)
