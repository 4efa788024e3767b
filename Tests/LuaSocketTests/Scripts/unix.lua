-- Unix sockets: streams and datagrams, paths and names outside the file system.
local socket = require "socket"
local unix = require "socket.unix"
local t = require "show"

local folder = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder))
local function path(name) return folder .. "/" .. name end
local function shown(text) return type(text) == "string" and text:gsub(folder, "folder") or text end
local function show(label, ...)
  local values = table.pack(...)
  for i = 1, values.n do values[i] = shown(values[i]) end
  t.show(label, table.unpack(values, 1, values.n))
end

show("module", type(unix), unix.stream == unix.stream, type(unix.tcp), type(unix.udp), type(unix.dgram))
show("called", unix(), unix.stream(), unix.tcp(), unix.dgram(), unix.udp())
show("in socket", socket.unix)

-- streams
local server = unix.stream()
show("master", server.class, server:getfd() >= 0, server:dirty(), server:getsockname())
show("bind", server:bind(path "server"))
show("name", server:getsockname())
show("listen", server:listen(), server.class)
show("master methods", pcall(server.bind, server, path "other"))
local client = unix.stream()
show("connect", client:connect(path "server"), client.class)
show("name", client:getsockname())
local accepted = server:accept()
show("accepted", accepted, accepted.class, accepted:getsockname())
show("send", client:send("line\r\nnext\nrest"))
show("line", accepted:receive())
show("dirty", accepted:dirty())
show("line", accepted:receive("*l"))
show("count", accepted:receive(2))
client:shutdown("send")
show("all", accepted:receive("*a"))
show("end", accepted:receive())
show("stats", accepted:getstats() == 15)
show("setstats", accepted:setstats(1, 2, 3), select("#", accepted:getstats()))
show("back", accepted:send("abcdef", 2, 4), client:receive(3))
show("shutdown", accepted:shutdown(), accepted:send("x"))
show("bad shutdown", pcall(accepted.shutdown, accepted, "x"))
show("close", accepted:close(), accepted:close(), accepted:getfd())
show("closed", client:receive())
client:settimeout(0)
show("accept", server:settimeout(0), server:accept())
show("accept", server:settimeout(0.02), server:accept())

for _, name in ipairs {"keepalive", "reuseaddr", "linger", "tcp-nodelay", "broadcast", "x"} do
  for _, value in ipairs {true, false, 1, "x", {on = true, timeout = 1}} do
    local s, d = unix.stream(), unix.dgram()
    show(name .. " " .. t.values(value), pcall(s.setoption, s, name, value))
    show(name .. " " .. t.values(value), pcall(d.setoption, d, name, value))
  end
end
show("no getoption", server.getoption, server.gettimeout, server.getpeername, server.getfamily)

-- failures
local function attempt(label, make, method, address)
  local s = make()
  show(label, pcall(s[method], s, address))
  show("  afterwards", s:getfd() >= 0, s.class)
  s:close()
end
for kind, make in pairs {stream = unix.stream} do
  attempt(kind .. " nobody", make, "connect", path "nobody")
  attempt(kind .. " in use", make, "bind", path "server")
  attempt(kind .. " no folder", make, "bind", path "no/such/folder")
  attempt(kind .. " 107", make, "bind", ("x"):rep(107))
  os.remove(("x"):rep(107))
  attempt(kind .. " 108", make, "bind", ("x"):rep(108))
  attempt(kind .. " 108", make, "connect", ("x"):rep(108))
  attempt(kind .. " empty", make, "connect", "")
end
attempt("dgram nobody", unix.dgram, "connect", path "nobody")
attempt("dgram in use", unix.dgram, "bind", path "server")
attempt("dgram to stream", unix.dgram, "connect", path "server")
attempt("stream to file", unix.stream, "connect", "/etc/passwd")
local bound = unix.stream()
bound:bind(path "not listening")
attempt("not listening", unix.stream, "connect", path "not listening")
show("bound twice", bound:bind(path "second"))
show("afterwards", bound:getfd())

-- datagrams
local a, b = unix.dgram(), unix.dgram()
a:settimeout(60)
b:settimeout(60)
show("unnamed", a:getsockname(), a.class)
show("bind", a:bind(path "a"), a:getsockname(), a.class)
show("sendto", b:sendto("from nowhere", path "a"))
show("receivefrom", a:receivefrom())
show("setsockname", b:setsockname(path "b"))
show("sendto", b:sendto("from b", path "a"))
show("receivefrom", a:receivefrom())
show("empty", b:sendto("", path "a"), a:receive())
show("cut", b:sendto("0123456789", path "a"), a:receive(4))
show("large", b:sendto(("x"):rep(100000), path "a"), a:receive(200000))
show("default", b:sendto(("x"):rep(10000), path "a"), a:receive())
show("connect", b:connect(path "a"), b.class)
show("send", b:send("connected"), a:receivefrom())
show("not for connected", pcall(b.sendto, b, "x", path "a"))
show("not for connected", pcall(b.receivefrom, b))
show("not for unconnected", pcall(a.send, a, "x"))
show("setpeername", a:setpeername(path "b"), a:send("answer"), b:receive())
show("again", a:connect(path "b"), a.class)
show("nobody", unix.dgram():sendto("x", path "nobody"))
show("too long", unix.dgram():sendto("x", ("x"):rep(108)))
show("dirty", a:dirty(), a:gettimeout())
b:close()
show("peer closed", a:send("x"))
show("closed", pcall(b.send, b, "x"))
show("closed", b:getsockname())
local c = unix.dgram()
c:close()
show("closed", c:sendto("x", path "a"))
show("timeout", select(2, a:settimeout(0), a:receive()))

-- What was sent and the end, without waiting for either.
for _, pattern in ipairs {"*a", "*l", 5, 3} do
  local listening, near = unix.stream(), unix.stream()
  listening:bind(path("ending " .. pattern))
  listening:listen()
  near:connect(path("ending " .. pattern))
  local far = listening:accept()
  near:send("abc")
  near:close()
  far:settimeout(0)
  show("the end with the last bytes", far:receive(pattern))
  show("the end", far:receive(pattern))
end

-- readiness
show("select", #socket.select({server, a}, nil, 0))
local d = unix.dgram()
d:connect(path "a")
show("refused", d:send("x"))
show("wrong objects", pcall(server.bind, a, "x"))
show("wrong objects", pcall(a.bind, server, "x"))
show("wrong objects", pcall(server.close, a))
show("wrong objects", pcall(socket.tcp().close, server))
os.execute("rm -r " .. folder)
