-- Every option of UDP objects with values of every form.
local socket = require "socket"
local t = require "show"

local names = {
  "dontroute", "broadcast", "reuseaddr", "reuseport", "ip-multicast-if", "ip-multicast-ttl", "ip-multicast-loop",
  "ip-add-membership", "ip-drop-membership", "ipv6-unicast-hops", "ipv6-multicast-loop",
  "ipv6-add-membership", "ipv6-drop-membership", "ipv6-v6only", "recv-buffer-size", "send-buffer-size", "error",
  "keepalive", "linger", "tcp-nodelay", "nosuch", "",
}
local group4, group6 = "239.255.1.7", "ff02::117"
local values = {
  true, false, 0, 1, 2, 64, 300, 3.7, 70000, "1", "x", "", "*", "127.0.0.1", "1.2.3", "::1", {}, print,
  {multiaddr = group4}, {interface = "*"}, {multiaddr = group4, interface = "*"}, {multiaddr = group4, interface = "127.0.0.1"},
  {multiaddr = group4, interface = "x"}, {multiaddr = "x", interface = "*"}, {multiaddr = 1, interface = 1},
  {multiaddr = "127.0.0.1", interface = "*"}, {multiaddr = group4, interface = "192.0.2.1"}, {multiaddr = {}, interface = "*"},
  {multiaddr = group6}, {multiaddr = group6, interface = 1}, {multiaddr = group6, interface = "1"},
  {multiaddr = group6, interface = 999}, {multiaddr = "::1"}, {multiaddr = "x", interface = 0}, {on = true, timeout = 1},
  setmetatable({}, {__index = {multiaddr = group4, interface = "127.0.0.1"}}),
  setmetatable({}, {__index = function() error("no field", 0) end}),
}

for _, make in ipairs {"udp4", "udp6", "udp"} do
  for _, name in ipairs(names) do
    local s = socket[make]()
    local label = make .. " " .. name
    t.try(label .. " get", function() return s:getoption(name) end)
    t.try(label .. " set", function() return s:setoption(name) end)
    t.try(label .. " set nil", function() return s:setoption(name, nil) end)
    for _, value in ipairs(values) do
      t.try(label .. " set " .. t.values(value), function() return s:setoption(name, value) end)
      t.try("  get", function() return s:getoption(name) end)
    end
    s:close()
  end
end

-- A group twice, left, left again.
local s = socket.udp4()
local membership = {multiaddr = group4, interface = "127.0.0.1"}
for _, name in ipairs {"add", "add", "drop", "drop"} do
  t.show(name, s:setoption("ip-" .. name .. "-membership", membership))
end
-- A datagram to the group comes back.
local receiver, sender = socket.udp4(), socket.udp4()
receiver:setoption("reuseaddr", true)
assert(receiver:setsockname(group4, 0))
local _, port = receiver:getsockname()
t.show("join", receiver:setoption("ip-add-membership", membership))
t.show("if", sender:setoption("ip-multicast-if", "127.0.0.1"), sender:getoption("ip-multicast-if"))
t.show("loop", sender:setoption("ip-multicast-loop", true), sender:setoption("ip-multicast-ttl", 1))
receiver:settimeout(60)
t.show("to the group", sender:sendto("all", group4, port), (receiver:receivefrom()))
t.show("leave", receiver:setoption("ip-drop-membership", membership))
-- Without the option a broadcast is refused.
t.show("broadcast", sender:sendto("x", "255.255.255.255", 9))
