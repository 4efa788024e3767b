-- Everything that can be asked of a socket that is closed.
local socket = require "socket"
local t = require "show"

local free = t.freePort()
local calls = {
  {"getfd"}, {"dirty"}, {"getfamily"}, {"getsockname"}, {"getpeername"}, {"gettimeout"}, {"settimeout", 1},
  {"getoption", "keepalive"}, {"getoption", "linger"}, {"getoption", "error"}, {"setoption", "keepalive", true},
  {"setoption", "linger", {on = true, timeout = 0}}, {"receive"}, {"receive", 0}, {"receive", 5}, {"receive", "*a"},
  {"receive", 5, "abc"}, {"receive", 3, "abc"}, {"receive", "*l", "abc"}, {"receive", "*x"},
  {"send", "x"}, {"send", ""}, {"send", "abc", 2}, {"shutdown"}, {"shutdown", "x"}, {"setstats", 1, 2},
  {"accept"}, {"listen"}, {"bind", "127.0.0.1", "no such service"}, {"close"}, {"close", 1},
}
local function make()
  local client, accepted, server = t.pair()
  return {client = client, accepted = accepted, server = server, master = socket.tcp4(), unspec = socket.tcp()}
end
for _, kind in ipairs {"client", "accepted", "server", "master", "unspec"} do
  for _, call in ipairs(calls) do
    local s = make()[kind]
    s:close()
    local name = call[1]
    local label = kind .. ":" .. name .. "(" .. t.values(table.unpack(call, 2)) .. ")"
    t.try(label, s[name], s, table.unpack(call, 2))
  end
  local s = make()[kind]
  s:close()
  t.try(kind .. ":bind", s.bind, s, "127.0.0.1", 0)
  s:close()
  t.try(kind .. ":connect", s.connect, s, "127.0.0.1", free)
  t.show(kind .. " class", s.class)
  t.try(kind .. ":select", function() return #socket.select({s}, {s}, 0) end)
end

-- used again
local server, port = t.listener()
local s = socket.tcp4()
s:close()
t.show("connect after close", s:connect("127.0.0.1", port))
t.show("send", s:send("x\n"))
t.show("receive", server:accept():receive())
local m = socket.tcp4()
m:close()
t.show("bind after close", m:bind("127.0.0.1", 0))
t.show("listen", m:listen(), m.class)
