-- oks: 25
-- Socket options.
local xpio = require "xpio"
local check = require "check"

for _, name in ipairs {"TCP_NODELAY", "SO_KEEPALIVE", "SO_REUSEADDR", "SO_REUSEPORT"} do
  local socket = xpio.socket("TCP")
  check.equal(name .. " is off", socket:getsockopt(name), false)
  check.ok(name .. " can be set", socket:setsockopt(name, true) == true and socket:getsockopt(name) == true)
  check.ok(name .. " and taken back", socket:setsockopt(name) == true and socket:getsockopt(name) == false)
end
local socket = xpio.socket("TCP")
check.ok("O_NONBLOCK is on", socket:getsockopt("O_NONBLOCK"))
check.ok("O_NONBLOCK can be taken back", socket:setsockopt("O_NONBLOCK", false) and socket:getsockopt("O_NONBLOCK") == false)
check.ok("O_NONBLOCK can be set", socket:setsockopt("O_NONBLOCK", true) and socket:getsockopt("O_NONBLOCK") == true)
for _, name in ipairs {"SO_RCVBUF", "SO_SNDBUF"} do
  check.ok(name .. " is an integer", math.type(socket:getsockopt(name)) == "integer")
  check.ok(name .. " can be set", socket:setsockopt(name, 40000) == true and socket:getsockopt(name) >= 40000)
  check.raises(name .. " is not negative", "(a number of 0 or more expected, got -1.0)", socket.setsockopt, socket, name, -1)
end
check.raises("a size is a number", "(number expected, got no value)", socket.setsockopt, socket, "SO_RCVBUF")
check.results("unknown options to get", table.pack(socket:getsockopt("SO_WHAT")), nil, "xpio: unknown socket option")
check.results("and to set", table.pack(socket:setsockopt("SO_WHAT", 1)), nil, "xpio: unknown socket option")
check.results("options of a pipe", table.pack(xpio.pipe():getsockopt("SO_KEEPALIVE")), nil, "Socket operation on non-socket")
