-- oks: 33
-- copas.http with https: parameters, server names, handshakes that fail.
local copas = require "copas"
local socket = require "socket"
local ssl = require "ssl"
local http = require "copas.http"
local check = require "check"
local web = require "web"

local serverside, folder = web.certificate "localhost"
local other, otherfolder = web.certificate "other"

http.SSLVERIFY = "none" -- https_verify.lua is about that

local names = {} -- that clients asked for
local function greet(c)
  names[#names + 1] = c:getsniname() or false
  local line = c:receive()
  repeat line = c:receive() until not line or line == ""
  web.text(c, "hello")
end
local port = web.listen(greet, serverside)
local oldport = web.listen(greet, {
  mode = "server", protocol = "tlsv1_3", key = serverside.key, certificate = serverside.certificate,
})
local named = web.listen(greet, {
  wrap = serverside, sni = {names = {localhost = ssl.newcontext(serverside)}, strict = true},
})
local silent = web.listen(function(c) c:receive "*a" end)
local plain = web.serve(function(c) web.text(c, "no TLS") end)

local function at(where, host) return ("https://%s:%d/"):format(host or "localhost", where) end

check.run(function()
  check.equal("https", http.request(at(port)), "hello")
  check.equal("asks for the name", names[#names], "localhost")
  check.equal("an address", http.request(at(port, "127.0.0.1")), "hello")
  check.equal("is no name", names[#names], false)
  check.equal("a server with names", http.request(at(named)), "hello")
  check.equal("another name", http.request {
    url = at(port), sslparams = {wrap = {}, sni = {names = "else.invalid"}},
  }, 1)
  check.equal("is asked for", names[#names], "else.invalid")
  check.ok("a name the server has not", http.request {
    url = at(named), sslparams = {sni = {names = "else.invalid"}},
  } == nil)
  local from = {url = at(port), sslparams = {}}
  http.request(from)
  check.equal("sslparams are left as they are", next(from.sslparams), nil)

  ---------------------------------------------------------------- parameters
  local function result(request)
    local ok, what = http.request(request)
    return ok and "good" or what
  end
  local unverified = "TLS/SSL handshake failed: certificate verify failed"
  check.equal("verify", result {url = at(port), verify = "peer"}, unverified)
  check.equal("sslparams.wrap.verify", result {url = at(port), sslparams = {wrap = {verify = "peer"}}}, unverified)
  check.equal("sslparams as of copas.wrap", result {
    url = at(port), sslparams = {mode = "client", protocol = "any", verify = "peer"},
  }, unverified)
  check.equal("cafile", result {
    url = at(port), sslparams = {wrap = {verify = "peer", cafile = serverside.certificate}},
  }, "good")
  check.equal("another's", result {
    url = at(port), sslparams = {wrap = {verify = "peer", cafile = other.certificate}},
  }, unverified)
  http.SSLVERIFY = "peer"
  check.ok("SSLVERIFY", result(at(port)):find(unverified .. " (cafile = ", 1, true), result(at(port)))
  http.SSLVERIFY = "none"
  check.ok("TLS 1.2 only", result(at(oldport)):find "^TLS/SSL handshake failed")
  check.equal("protocol", result {url = at(oldport), protocol = "any"}, "good")
  http.SSLPROTOCOL = "any"
  check.equal("SSLPROTOCOL", result(at(oldport)), "good")
  http.SSLOPTIONS = {"all", "no_tlsv1_3"}
  check.ok("SSLOPTIONS", result(at(oldport)):find "^TLS/SSL handshake failed")
  http.SSLPROTOCOL, http.SSLOPTIONS = "tlsv1_2", "all"
  check.ok("options", result {url = at(oldport), protocol = "any", options = {"no_tlsv1_3"}} ~= "good")
  local context = ssl.newcontext {mode = "client", protocol = "any", verify = "peer", cafile = serverside.certificate}
  check.equal("a context", result {url = at(oldport), sslparams = {wrap = context}}, "good")
  check.equal("nothing else", result {url = at(oldport), sslparams = context}, "good")
  check.ok("a wrong file", result {url = at(port), sslparams = {wrap = {cafile = "/nowhere"}}} ~= "good")
  http.SSLPORT = port
  check.equal("SSLPORT", result "https://localhost/", "good")
  http.SSLPORT = 443

  ---------------------------------------------------------------- create
  local asked = {url = at(port)}
  local sock = http.getcreatefunc()(asked)
  check.ok("getcreatefunc", tostring(sock):find "copas wrapped" and asked.port == tostring(port), asked.port)
  asked = {url = "https://localhost/"}
  http.getcreatefunc {protocol = "any"}(asked)
  check.equal("gives a port", asked.port, 443)
  local create = http.getcreatefunc {sslparams = {wrap = {verify = "peer"}}}
  check.equal("create decides", result {url = at(port), create = create}, unverified)

  ---------------------------------------------------------------- no TLS
  check.ok("a server without TLS", result(at(plain)):find "^TLS/SSL handshake failed: ")
  local start = socket.gettime()
  check.equal("a handshake that takes too long", result {url = at(silent), timeout = 0.05}, "timeout")
  check.ok("ends in time", socket.gettime() - start < 50)
  check.equal("refused", result(at(check.freePort())), "connection refused")
  check.ok("a proxy that does not know CONNECT",
    result {url = at(port), proxy = "http://localhost:" .. silent, timeout = 0.05} == "timeout")

  ---------------------------------------------------------------- many at once
  local good, done = 0, 0
  for _ = 1, 30 do
    copas.addthread(function()
      if http.request(at(port)) == "hello" then good = good + 1 end
      done = done + 1
    end)
  end
  while done < 30 do copas.pause(0.005) end
  check.equal("many requests", good, 30)
  web.stop()
end)
os.execute(("rm -r '%s' '%s'"):format(folder, otherfolder))
