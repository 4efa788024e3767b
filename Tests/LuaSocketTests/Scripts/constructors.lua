local socket = require "socket"
local t = require "show"

t.show("constants", socket.BLOCKSIZE, math.type(socket._SETSIZE), socket._SOCKETINVALID)

for _, name in ipairs {"tcp", "tcp4", "tcp6"} do
  local s = t.try(name, socket[name])
  t.show(name .. " class", s.class, type(s), getmetatable(s).__name)
  t.show(name .. " state", s:getfamily(), s:dirty(), s:gettimeout())
  t.show(name .. " has a descriptor", s:getfd() >= 0, math.type(s:getfd()))
  t.show(name .. " address", t.name(s))
  t.show(name .. " peer", s:getpeername())
  t.try(name .. " with arguments", socket[name], 1, {}, "x")
  t.show(name .. " closed", s:close(), s:close())
  t.show(name .. " closed address", t.name(s))
  t.show(name .. " tostring", tostring(s):match "^tcp{master}: 0x%x+$" ~= nil)
end

-- From master to server, and to the client that it accepts.
local master = socket.tcp()
t.show("bind", master:bind("127.0.0.1", 0))
t.show("bound", master, master:getfamily(), master:getfd() >= 0)
local _, port = master:getsockname()
t.port(port)
t.show("name", t.name(master))
t.show("listen", master:listen())
t.show("listening", master, master.class)
t.try("listen again", function() return master:listen() end)

local client = socket.tcp()
t.show("connect", client:connect("127.0.0.1", port))
t.show("connected", client, client.class, client:getfamily())
local accepted = t.try("accept", function() return master:accept() end)
t.show("accepted", accepted.class, accepted:getfamily(), accepted:gettimeout())
t.show("methods are shared", client.receive == accepted.receive, getmetatable(client) == getmetatable(accepted))
t.show("server's methods", type(master.receive), type(master.accept), master.nosuch)

-- A failed connect makes a client, too.
local failed = socket.tcp4()
t.show("refused", failed:connect("127.0.0.1", t.freePort()))
t.show("class after refusal", failed)
local unresolved = socket.tcp()
t.show("bad port", unresolved:connect("127.0.0.1", "no such service"))
t.show("class after a bad port", unresolved)

t.try("index", function() return master[1] end)
t.try("new index", function() master.x = 1 end)
t.try("call", function() return master() end)
t.try("length", function() return #master end)
t.try("arithmetic", function() return master + 1 end)
t.show("equality", master == master, master == client)

-- to-be-closed and collected sockets
do
  local _ = socket.tcp4()
  kept = nil
  collectgarbage()
  collectgarbage()
end
t.show("metatable", type(getmetatable(master).__gc), type(getmetatable(master).__tostring),
  type(getmetatable(master).__index))
