-- oks: 21
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local function greeter(text)
  return function(skt) copas.send(skt, text .. "\n") end
end
local function ask(port)
  local c = copas.wrap(socket.tcp())
  local ok, err = c:connect("127.0.0.1", port)
  if not ok then return nil, err end
  local line = c:receive()
  c:close()
  return line
end

check.run(function()
  local server, port = check.listener()
  copas.addserver(server, greeter "one")
  check.equal("serves", ask(port), "one")
  copas.addserver(server, greeter "two")
  check.equal("another handler", ask(port), "two")
  check.equal("removeserver, kept open", copas.removeserver(server, true), true)
  check.ok("still open", server:getfd() >= 0)

  -- Connections that come while nobody serves are served later.
  local waiting = {}
  for i = 1, 3 do waiting[i] = socket.connect("127.0.0.1", port) end
  copas.pause(0.01)
  copas.addserver(server, greeter "three")
  local lines = 0
  for i = 1, 3 do
    if copas.receive(waiting[i]) == "three" then lines = lines + 1 end
    waiting[i]:close()
  end
  check.equal("served when added again", lines, 3)
  for i = 1, 3 do
    copas.removeserver(server, true)
    copas.addserver(server, greeter("round " .. i))
    check.equal("round " .. i, ask(port), "round " .. i)
  end
  check.equal("removeserver", copas.removeserver(server), 1)
  check.equal("closed", server:getfd(), -1)
  local good, err = pcall(function() copas.addserver(server, print) end)
  check.ok("a closed server", not good and err:find("closed", 1, true), err)

  for what, arguments in pairs {
    ["nothing"] = {}, ["a master"] = {socket.tcp(), print}, ["no handler"] = {check.listener()},
    ["a client"] = {check.pair(), print},
  } do
    good, err = pcall(function() copas.addserver(table.unpack(arguments)) end)
    check.ok("not a server: " .. what, not good and err:find("expected", 1, true), err)
  end

  -- A handler removes its own server.
  server, port = check.listener()
  copas.addserver(server, function(skt)
    copas.removeserver(server)
    copas.send(skt, "last\n")
  end)
  local c1, c2 = socket.connect("127.0.0.1", port), socket.connect("127.0.0.1", port)
  check.equal("a handler removes its server", copas.receive(c1), "last")
  c1:close()
  c2:close()

  -- A server that is closed behind the dispatcher's back.
  server, port = check.listener()
  copas.addserver(server, print)
  copas.pause(0.005)
  server:close()
  copas.pause(0.005)
  check.ok("closed elsewhere", true)

  -- the wrapped server
  server, port = check.listener()
  copas.addserver(copas.wrap(server), greeter "wrapped")
  check.equal("a wrapped server", ask(port), "wrapped")
  copas.removeserver(copas.wrap(server))
  check.equal("is closed", server:getfd(), -1)

  -- autoclose
  server, port = check.listener()
  local kept
  copas.addserver(server, function(skt) kept = skt end)
  local c = socket.connect("127.0.0.1", port)
  copas.receive(c)
  local closed = kept:getfd() == -1
  c:close()
  copas.autoclose = false
  c = socket.connect("127.0.0.1", port)
  copas.settimeout(c, 0.02)
  local _, why = copas.receive(c)
  check.ok("autoclose", closed and why == "timeout" and kept:getfd() >= 0, closed, why)
  copas.autoclose = true
  c:close()
  kept:close()
  copas.removeserver(server)
end)
check.ok("nothing is left", copas.finished())
