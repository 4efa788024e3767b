-- oks: 6
-- Run with few descriptors: `ulimit -n 32`.
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local server, port = check.listener()
local served, serving = 0, 0
copas.addserver(server, function(skt)
  serving = serving + 1
  while true do
    local line = copas.receive(skt)
    if not line then break end
    served = served + 1
    copas.send(skt, line .. "\n")
  end
  serving = serving - 1
end)

check.run(function()
  -- Clients in here take descriptors, too: more than there are.
  local clients, why = {}, nil
  for i = 1, 64 do
    local c = socket.tcp()
    local ok, err = c:connect("127.0.0.1", port)
    if not ok then
      why = err
      break
    end
    clients[i] = c
    copas.pause()
  end
  check.ok("no descriptors left for a client", #clients > 5 and #clients < 32 and why == "Too many open files", #clients, why)
  check.equal("nor for a connect in a thread", select(2, copas.connect(socket.tcp(), "127.0.0.1", port)), "Too many open files")
  -- The dispatcher goes on, and serves the connected clients.
  clients[1]:send("still there\n")
  check.equal("those who are connected are served", copas.receive(clients[1]), "still there")
  local before = serving
  for i = 2, #clients do
    clients[i]:close()
    clients[i] = nil
  end
  -- Descriptors are free again when the server has seen all ends, also of clients that it could not
  -- accept before.
  check.await(function() return serving == 1 end)
  copas.pause(0.15)
  check.await(function() return serving == 1 end)
  local answers = 0
  for _ = 1, 30 do
    local c = socket.tcp()
    assert(copas.connect(c, "127.0.0.1", port))
    c:send("hello\n")
    if copas.receive(c) == "hello" then answers = answers + 1 end
    c:close()
  end
  check.equal("service goes on", answers, 30)
  check.await(function() return serving == 1 end)
  check.ok("everybody was let go", serving == 1, serving, before)
  clients[1]:close()
  copas.removeserver(server)
end)
check.ok("nothing is left", copas.finished())
