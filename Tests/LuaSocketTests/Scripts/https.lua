-- LuaSec's ssl.https, which works on top of socket.http.
local https = require "ssl.https"
local http = require "socket.http"
local ltn12 = require "ltn12"
local servers = require "servers"
local t = require "show"

https.TIMEOUT, http.TIMEOUT = 10, 10
http.SSLVERIFY = "none" -- the certificate signs itself; stock does not look
local port, stop = servers.start "https"
t.port(port, "server")
local web = "https://localhost:" .. port

t.show("get", https.request(web .. "/echo"))
t.show("post", https.request(web .. "/echo", "a=b"))
for _, path in ipairs { "/big", "/chunks", "/closed", "/kept", "/continue", "/nothing", "/truncated" } do
  t.show(path, https.request(web .. path))
end
local out = {}
t.show("generic", https.request { url = web .. "/chunks", sink = ltn12.sink.table(out), protocol = "any" })
t.show("body", table.concat(out))
out = {}
t.show("PUT", https.request {
  url = web .. "/echo", method = "PUT", source = ltn12.source.string(("x"):rep(100000)),
  sink = ltn12.sink.table(out),
})
t.show("body", table.concat(out))
t.show("http with https", http.request(web .. "/echo"))
t.show("options", https.request {
  url = web .. "/echo", verify = "none", options = { "all", "no_sslv3" }, mode = "client",
})
t.show("wrong url", https.request("http://localhost:" .. port .. "/"))
t.show("redirect in a table", pcall(https.request, { url = web .. "/echo", redirect = true }))
t.show("create in a table", https.request { url = web .. "/echo", create = print })
t.show("proxy", https.request { url = web .. "/echo", proxy = "http://127.0.0.1:1" })
t.show("to http", (select(2, http.request(web .. "/insecure"))))
t.show("to another", http.request(web .. "/secure"))
t.show("certificate", https.request {
  url = web .. "/echo", verify = "peer", cafile = "/etc/ssl/certs/ca-certificates.crt",
})
https.TIMEOUT, http.TIMEOUT = 0.3, 0.3
t.show("silent", https.request(web .. "/silent"))
https.TIMEOUT, http.TIMEOUT = 10, 10
t.show("refused", https.request(("https://127.0.0.1:%d/"):format(t.freePort())))
stop()
