-- socket.http over TCP, with a server in another process.
local socket = require "socket"
local http = require "socket.http"
local ltn12 = require "ltn12"
local servers = require "servers"
local t = require "show"

http.TIMEOUT = 10
local port, stop = servers.start "http"
local web = "http://127.0.0.1:" .. port

local function get(label, path, body) t.show(label, http.request(web .. path, body)) end
local function generic(label, request)
  local sink, out = ltn12.sink.table()
  request.sink = request.sink or sink
  t.show(label, http.request(request))
  t.show(label .. " body", table.concat(out))
end

get("get", "/echo?q")
get("post", "/echo", "a=b&c=d")
for _, path in ipairs { "/big", "/chunks", "/closed", "/old", "/continue", "/kept", "/truncated", "/nothing", "/empty" } do
  get(path, path)
end
get("hops", "/hop?3")
get("too many hops", "/hop?9")
generic("unlimited hops", { url = web .. "/hop?30", maxredirects = false })
generic("no hops", { url = web .. "/hop?3", redirect = false })
generic("HEAD", { url = web .. "/echo", method = "HEAD" })
local long = ("ab"):rep(50000)
generic("PUT, chunks", { url = web .. "/echo", method = "PUT", source = ltn12.source.string(long) })
generic("PUT, length", {
  url = web .. "/echo", method = "PUT", source = ltn12.source.string(long),
  headers = { ["content-length"] = #long },
})
generic("password", { url = ("http://user:pass%%20word@127.0.0.1:%d/echo"):format(port) })
generic("proxy", { url = "http://somewhere.invalid/path", proxy = web })
generic("sink fails", { url = web .. "/big", sink = ltn12.sink.error "full" })
generic("step", { url = web .. "/chunks", step = function(source, sink) return ltn12.pump.step(source, sink) end })

t.show("refused", http.request("http://127.0.0.1:" .. t.freePort() .. "/"))
http.TIMEOUT = 0.2
get("silent", "/silent")
http.TIMEOUT = 10

-- sources and sinks of `socket`
local c = assert(socket.connect("127.0.0.1", port))
local sink = socket.sink("keep-open", c)
t.show("sink", ltn12.pump.all(ltn12.source.string "GET /closed HTTP/1.0\r\n\r\n", sink))
local source = socket.source("until-closed", c)
local ready = socket.select({ source }, nil, 5)
t.show("selected", #ready, ready[source] ~= nil, source.getfd() == c:getfd(), source.dirty())
local all = {}
t.show("source", ltn12.pump.all(source, (ltn12.sink.table(all))))
t.show("received", table.concat(all))
t.show("source again", source())
t.show("closed", c:send "x")
c = assert(socket.connect("127.0.0.1", port))
t.show("close-when-done", ltn12.pump.all(ltn12.source.string "GET", socket.sink("close-when-done", c)))
t.show("closed", c:send "x")
c = assert(socket.connect("127.0.0.1", port))
c:send "GET /big HTTP/1.0\r\n\r\n"
source = socket.source("by-length", c, 5000)
t.show("by length", #source(), #source(), #source(), source(), source())
source = socket.source("by-length", c, 1000000)
t.show("by length, too many", ltn12.pump.all(source, ltn12.sink.null()))
c:close()
t.show("by length, none", socket.source("by-length", c, 0)())
t.show("unknown", pcall(socket.source, "unknown", c))

t.show("server", stop())
