local socket = require "socket"
local t = require "show"

for _, host in ipairs {
  "localhost", "127.0.0.1", "127.1", "0x7f000001", "2130706433", "nosuch.invalid", "not a name", "", "256.0.0.1",
  "::1", "0.0.0.0", "127.0.0.1 ", "a..b", ("x"):rep(300), ("x."):rep(200), "nul\0byte.invalid",
} do
  t.try("toip " .. t.values(host), socket.dns.toip, host)
end
for _, wrong in ipairs {{}, true, print} do
  t.try("toip", function() return socket.dns.toip(wrong) end)
end
t.try("toip nothing", function() return socket.dns.toip() end)
t.try("toip nil", function() return socket.dns.toip(nil) end)
t.try("toip too much", function() return (socket.dns.toip("localhost", 1, 2)) end)
t.try("toip number", function() return socket.dns.toip(2130706433) end)
t.show("gethostname", type(socket.dns.gethostname()), socket.dns.gethostname() ~= "")
