local socket = require "socket"
local t = require "show"

local values = {
  true, false, 0, 1, -1, 5, 3.7, 70000, "1", "x", "", {}, print,
  {on = true}, {on = 1, timeout = 1}, {on = true, timeout = "x"}, {timeout = 1},
  {on = true, timeout = 3}, {on = false, timeout = 0}, {on = true, timeout = 2.5}, {on = true, timeout = "4"},
  setmetatable({}, {__index = {on = true, timeout = 9}}),
}
local names = {
  "keepalive", "reuseaddr", "reuseport", "tcp-nodelay", "tcp-keepidle", "tcp-keepcnt",
  "tcp-keepintvl", "linger", "recv-buffer-size", "send-buffer-size", "ipv6-v6only",
  "tcp-defer-accept", "tcp-fastopen", "tcp-fastopen-connect", "bindtodevice", "error",
  "broadcast", "ip-multicast-ttl", "nosuch", "", "Keepalive",
  ("long"):rep(20),
}

local function through(label, make)
  for _, name in ipairs(names) do
    local s = make()
    t.try(label .. " get " .. name, function() return s:getoption(name) end)
    t.try(label .. " set " .. name, function() return s:setoption(name) end)
    t.try(label .. " set " .. name .. " nil", function() return s:setoption(name, nil) end)
    for _, v in ipairs(values) do
      local what = label .. " set " .. name .. " " .. t.values(v)
      t.try(what, function() return s:setoption(name, v) end)
      t.try("  get", function() return s:getoption(name) end)
    end
    s:close()
  end
end

through("tcp4", socket.tcp4)
through("tcp6", socket.tcp6)
through("no descriptor", socket.tcp)
through("client", function() return (t.pair()) end)
through("server", function() return (t.listener()) end)

local s = socket.tcp4()
for _, name in ipairs {1, true, {}, print} do
  t.try("get", function() return s:getoption(name) end)
  t.try("set", function() return s:setoption(name, true) end)
end
t.try("get nothing", function() return s:getoption() end)
t.try("set nothing", function() return s:setoption() end)
t.try("too many", function() return s:getoption("keepalive", 1, 2, 3) end)
t.try("too many", function() return s:setoption("keepalive", true, 2, 3) end)

-- The error of a connection, read once.
local a, b = t.pair()
t.reset(b)
socket.select({a}, nil, 1)
t.show("pending", a:getoption("error"))
t.show("taken", a:getoption("error"))
