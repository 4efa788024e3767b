-- oks: 65
-- The address format.
local xpio = require "xpio"
local check = require "check"

-- What a datagram socket is bound to by an address; the port is 0 where the system picks one.
local function bound(address)
  local socket <close> = assert(xpio.socket("UDP"))
  local good, why = socket:bind(address)
  if not good then return good, why end
  return (socket:getsockname():gsub(":%d+$", ":0"))
end

for address, expected in pairs {
  ["127.0.0.1"] = "127.0.0.1:0", ["127.0.0.1:"] = "127.0.0.1:0", ["127.0.0.1:0"] = "127.0.0.1:0",
  [""] = "0.0.0.0:0", [":"] = "0.0.0.0:0", [":0"] = "0.0.0.0:0", ["0"] = "0.0.0.0:0", ["0.0.0.0"] = "0.0.0.0:0",
  ["2130706433"] = "127.0.0.1:0", ["2130706433:"] = "127.0.0.1:0", ["127.1"] = "127.0.0.1:0", ["127.0.1"] = "127.0.0.1:0",
  ["127.0.258"] = "127.0.1.2:0", ["127.65538"] = "127.1.0.2:0", ["0127.0.0.010"] = "127.0.0.10:0",
} do
  check.equal(("address '%s'"):format(address), bound(address), expected)
end

for _, address in ipairs {
  "localhost", "localhost:80", "127.0.0.1:80x", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:65536",
  "127.0.0.1:99999999999999999999",
  "256.0.0.1", "1.2.3.4.5", "1..2", ".1", "1.", "4294967296", "127.16777216", "127.0.65536", " 127.0.0.1", "127.0.0.1 ",
  "-1", "0x7f000001", "127.0.0.1\0", "[::1", "[]", "[::1]80", "[::1]:x", "[127.0.0.1]:80", "::1", "[::1%nosuch]:80", "unix:",
  "unix:/" .. ("x"):rep(200), "unix:/tmp/a\0b",
} do
  local value, why = bound(address)
  check.ok(("no address '%s'"):format(address:sub(1, 20)),
    value == nil and why == "xpio: mal-formed address argument", value, why)
end
local socket = xpio.socket("TCP")
local value, why = socket:try_connect("somewhere")
check.ok("connect, in its own words", value == nil and why == "xpio: mal-formed address", value, why)
check.raises("an address is a string", "(string expected, got no value)", socket.bind, socket)
check.raises("not a table", "(string expected, got table)", socket.try_connect, socket, {})

-- The seed's examples.
check.ok('"127.0.0.1": any available port on localhost',
  socket:bind("127.0.0.1") and socket:getsockname():find("^127%.0%.0%.1:%d+$"))
-- A port that is free for UDP, too, most of the time.
local any, port, good
for _ = 1, 20 do
  any, port = xpio.socket("UDP"), select(3, socket:getsockname():find(":(%d+)"))
  good, why = any:bind(":" .. port)
  if good then break end
  socket = xpio.socket("TCP")
  socket:bind("127.0.0.1")
end
check.ok('":port": on all interfaces', good and any:getsockname() == "0.0.0.0:" .. port, why, port)

---------------------------------------------------------------- IPv6
local server = xpio.socket("TCP")
local number = server:fileno()
assert(server:setsockopt("SO_REUSEADDR", true))
assert(server:setsockopt("O_NONBLOCK", true))
check.ok("an IPv6 address", server:bind("[::1]"))
check.equal("the descriptor keeps its number", server:fileno(), number)
check.ok("and its options", server:getsockopt("SO_REUSEADDR") and server:getsockopt("O_NONBLOCK"))
server:listen()
local name = server:getsockname()
check.ok("IPv6 names", name:find("^%[::1%]:%d+$"), name)
local client = xpio.socket("TCP")
check.ok("connects", check.await(client, "connect", "write", name))
check.equal("to that peer", client:getpeername(), name)
value, why = client:bind("127.0.0.1")
check.ok("what is connected changes no more", value == nil and why == "Invalid argument", value, why)
local scoped = xpio.socket("UDP")
check.ok("scopes by number or name", scoped:bind("[::1%1]:0") and xpio.socket("UDP"):bind("[::1%lo]"))

---------------------------------------------------------------- Unix
local path = check.path("xpio")
local unix = xpio.socket("TCP")
check.ok("a path", unix:bind("unix:" .. path) and unix:listen())
check.equal("is its name", unix:getsockname(), "unix:" .. path)
local peer = xpio.socket("TCP")
check.ok("connects to it", check.await(peer, "connect", "write", "unix:" .. path))
check.equal("a peer without a name", check.await(unix, "accept", "read"):getpeername(), "unix:")
os.remove(path)
value, why = xpio.socket("TCP"):try_connect("unix:" .. path)
check.ok("a path that is not there", value == nil and why == "No such file or directory", value, why)
local abstract = xpio.socket("UDP")
check.ok("a name outside the file system", abstract:bind("unix:@" .. path) and abstract:getsockname() == "unix:@" .. path)
local full, queue = xpio.socket("TCP"), {}
assert(full:bind("unix:@full" .. path) and full:listen(0))
repeat
  queue[#queue + 1] = xpio.socket("TCP")
  value, why = queue[#queue]:try_connect("unix:@full" .. path)
until not value
check.equal("a server whose queue is full", why, "Resource temporarily unavailable")
