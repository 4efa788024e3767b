local socket = require "socket"
local t = require "show"

local _, port = t.listener()
local free = t.freePort()

-- bind
local taken = socket.tcp4()
t.show("port in use", taken:bind("127.0.0.1", port))
t.show("after", taken, t.name(taken))
t.show("then another", taken:bind("127.0.0.1", 0))
t.show("bind twice", taken:bind("127.0.0.1", 0))
t.show("socket.bind, port in use", socket.bind("127.0.0.1", port))
t.show("foreign address", socket.tcp():bind("192.0.2.1", 0))
t.show("socket.bind, foreign address", socket.bind("192.0.2.1", 0))
for _, bad in ipairs {"no such service", "-1", "65536", "1.5", "", " 1", "99999999999999999999"} do
  -- Where it succeeds, it has the port until it is closed, and not until it is collected.
  local holder = socket.tcp()
  t.show("bind to port " .. bad, holder:bind("127.0.0.1", bad))
  t.show("socket.bind to port " .. bad, socket.bind("127.0.0.1", bad))
  t.show("connect to port " .. bad, socket.tcp():connect("127.0.0.1", bad))
  t.show("socket.connect to port " .. bad, socket.connect("127.0.0.1", bad))
  holder:close()
end
for _, bad in ipairs {-1, 65536, 1.5, 8080.0} do
  t.show("bind to number " .. bad, socket.tcp():bind("127.0.0.1", bad))
  t.show("connect to number " .. bad, socket.tcp():connect("127.0.0.1", bad))
end
t.show("service by name", select("#", socket.tcp():connect("127.0.0.1", "domain")))
for _, bad in ipairs {"nosuch.invalid", "not a name", "256.0.0.1", "1.2.3.4.5", "::g", "%", "a..b"} do
  t.show("bind to " .. bad, socket.tcp():bind(bad, 0))
  t.show("socket.bind to " .. bad, socket.bind(bad, 0))
  t.show("connect to " .. bad, socket.tcp():connect(bad, 80))
  t.show("socket.connect to " .. bad, socket.connect(bad, 80))
end
t.show("bind to *", socket.tcp():bind("*", 0))
t.show("bind tcp4 to ::1", socket.tcp4():bind("::1", 0))
t.show("bind tcp6 to 127.0.0.1", socket.tcp6():bind("127.0.0.1", 0))
t.show("connect tcp4 to ::1", socket.tcp4():connect("::1", port))
t.show("connect tcp6 to 127.0.0.1", socket.tcp6():connect("127.0.0.1", port))
t.show("short form", socket.tcp():connect("127.1", port))
t.show("connect to *", socket.tcp():connect("*", port))

-- A failed bind leaves an object that can be used.
local again = socket.tcp()
t.show("first bind", again:bind("192.0.2.1", 0))
t.show("family", again:getfamily(), (t.name(again)))
t.show("second bind", again:bind("127.0.0.1", 0))
t.show("listen", again:listen(5))

-- listen
t.show("listen unbound", socket.tcp():listen())
local unbound = socket.tcp4()
t.show("listen unbound tcp4", unbound:listen())
t.show("its address", (t.name(unbound)))
for _, backlog in ipairs {0, -1, 1, 1.5, "3", 100000} do
  local s = socket.tcp4()
  t.show("listen " .. backlog, s:listen(backlog), s.class)
  s:close()
end

-- connect
t.show("refused", socket.tcp():connect("127.0.0.1", free))
t.show("socket.connect refused", socket.connect("127.0.0.1", free))
local retry = socket.tcp()
t.show("first attempt", retry:connect("127.0.0.1", free))
t.show("family", retry:getfamily(), retry.class)
t.show("second attempt", retry:connect("127.0.0.1", free))
t.show("third attempt", retry:connect("127.0.0.1", port))
retry:connect("127.0.0.1", port) -- succeeds, when the last one had to wait
t.show("already connected", retry:connect("127.0.0.1", port))
t.show("again, elsewhere", retry:connect("127.0.0.1", free))
retry:close()
t.show("after close", retry:connect("127.0.0.1", port))
t.show("peer", retry:getpeername())
local listening = socket.bind("127.0.0.1", 0)
t.show("listener connects", listening:connect("127.0.0.1", port))
t.show("its class", listening)
local bound = socket.tcp()
t.show("bind", bound:bind("127.0.0.1", 0))
t.show("connect bound", bound:connect("127.0.0.1", port))
t.show("setpeername", socket.tcp():setpeername("127.0.0.1", port))
t.show("setsockname", socket.tcp():setsockname("127.0.0.1", 0))
t.show("by name", socket.tcp():connect("localhost", port))
t.show("socket.connect by name", socket.connect("localhost", port))
t.show("connect4", socket.connect4("127.0.0.1", port))
t.show("port as string", socket.connect("127.0.0.1", tostring(port)))

-- with a local address
local localPort = t.freePort()
t.port(localPort, "local")
local from = t.try("local address", socket.connect, "127.0.0.1", port, "127.0.0.2", localPort)
t.show("its name", t.name(from))
t.show("local port in use", socket.connect("127.0.0.1", port, "127.0.0.1", port))
t.show("local address only", (socket.connect("127.0.0.1", port, "127.0.0.3"):getsockname()))
t.show("local *", (socket.connect("127.0.0.1", port, "*", 0):getsockname()))
t.show("bad local address", socket.connect("127.0.0.1", port, "192.0.2.1", 0))
t.show("bad local name", socket.connect("127.0.0.1", port, "not a name", 0))
t.show("bad local port", socket.connect("127.0.0.1", port, "127.0.0.1", "no such service"))
t.show("family inet", socket.connect("127.0.0.1", port, nil, nil, "inet"))
t.show("family unspec", socket.connect("127.0.0.1", port, nil, nil, "unspec"))
t.show("local family", socket.connect("127.0.0.1", port, "127.0.0.1", 0, "inet"))
t.show("local family mismatch", socket.connect("127.0.0.1", port, "127.0.0.1", 0, "inet6"))

-- accept
local quiet = t.listener()
quiet:settimeout(0)
t.show("nobody there", quiet:accept())
quiet:settimeout(0.02)
t.show("nobody comes", quiet:accept())
quiet:close()
t.show("closed", quiet:accept())
local busy, busyPort = t.listener()
local one, two = socket.connect("127.0.0.1", busyPort), socket.connect("127.0.0.1", busyPort)
one:send("one")
two:send("two")
t.show("first", busy:accept():receive(3))
t.show("second", busy:accept():receive(3))
local gone = socket.connect("127.0.0.1", busyPort)
gone:close()
local late = busy:accept()
t.show("accepted though closed", late, late:receive())

-- without waiting
local async = socket.tcp()
async:settimeout(0)
local ok, err = async:connect("127.0.0.1", port)
t.show("connect at once", ok == 1 or err == "timeout")
t.show("writable", #select(2, socket.select(nil, {async}, 30)))
ok, err = async:connect("127.0.0.1", port)
t.show("done", ok == 1 or err == "already connected")
t.show("sent", async:send("x"))
local refused = socket.tcp()
refused:settimeout(0)
ok, err = refused:connect("127.0.0.1", free)
t.show("refused at once", ok, err == "connection refused" or err == "timeout")
