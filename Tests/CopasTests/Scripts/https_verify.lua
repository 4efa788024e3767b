-- oks: 60
-- copas.http and copas.wrap: which servers are trusted, and for which names (RFC 9525).
local copas = require "copas"
local socket = require "socket"
local http = require "copas.http"
local certificates = require "socket.certificates"
local authority = require "authority"
local check = require "check"
local web = require "web"

---------------------------------------------------------------- names

local function match(name, host, want)
  check.equal(name .. " for " .. host, certificates.matches(name, host), want)
end
match("a.example", "A.Example.", true)
match("a.example", "b.example", false)
match("*.example.org", "a.example.org", true)
match("*.example.org", "example.org", false)
match("*.example.org", "a.b.example.org", false)
match("*.example.org", ".example.org", false)
match("a*.example.org", "ab.example.org", false)
match("*a.example.org", "ba.example.org", false)
match("a.*.org", "a.example.org", false)
match("*.*.org", "a.b.org", false)
match("*", "localhost", false)
match("*.org", "example.org", false)
match("xn--bcher-kva.example", "xn--bcher-kva.example", true)
match("a.example\0.b.example", "a.example", false)
match("", "", false)

local function certificate(names, addresses, common)
  return {
    extensions = function()
      return (names or addresses) and {["2.5.29.17"] = {dNSName = names, iPAddress = addresses}} or {}
    end,
    subject = function() return {{oid = "2.5.4.10", value = "x"}, {oid = "2.5.4.3", value = common}} end,
  }
end
local function isfor(what, cert, host, ownca, want)
  check.equal(what, certificates.isfor(cert, host, ownca), want)
end
isfor("an address", certificate({}, {"127.0.0.1"}), "127.0.0.1", false, true)
isfor("another", certificate({}, {"127.0.0.1"}), "127.0.0.2", false, nil)
isfor("an address as a name", certificate({"127.0.0.1"}, {}), "127.0.0.1", false, nil)
isfor("a name is no address", certificate({}, {"127.0.0.1"}), "localhost", false, nil)
isfor("no wildcard for an address", certificate({"*.0.0.1"}, {}), "127.0.0.1", false, nil)
isfor("IPv6", certificate({}, {"2001:DB8:0:0:0:0:0:1"}), "2001:db8::1", false, true)
isfor("IPv6, mapped", certificate({}, {"::ffff:1.2.3.4"}), "::FFFF:102:304", false, true)
isfor("IPv6, with a zone", certificate({}, {"fe80::1"}), "fe80::1%25lo", false, true)
isfor("IPv6, another", certificate({}, {"::1"}), "::2", false, nil)
isfor("common name", certificate(nil, nil, "h"), "h", false, nil)
isfor("common name, own authority", certificate(nil, nil, "h"), "h", true, true)
isfor("common name beside others", certificate({"a"}, nil, "h"), "h", true, nil)
isfor("no name at all", certificate(nil, nil, nil), "h", true, nil)
check.equal("the error", select(2, certificates.isfor(certificate({"a", "*.b"}, {"::1"}), "c")),
  "the certificate is for 'a', '*.b', '::1' and not for 'c'")

---------------------------------------------------------------- servers

local ca, other = authority.new(), authority.new()
local function hello(c)
  c:receive()
  repeat local line = c:receive() until not line or line == ""
  web.text(c, "hello")
end
local good = web.listen(hello, ca.sign("good", "x", "DNS:localhost,IP:127.0.0.1"))
local wrong = web.listen(hello, ca.sign("wrong", "localhost", "DNS:wrong.example"))
local old = web.listen(hello, ca.sign("old", "localhost", nil))
local expired = web.listen(hello, ca.sign("expired", "x", "DNS:localhost", "-days -1"))
local foreign = web.listen(hello, other.sign("foreign", "x", "DNS:localhost"))
local signed, folder = web.certificate "localhost"
local selfsigned = web.listen(hello, signed)

local function get(port, more)
  local request = {url = ("https://localhost:%d/"):format(port)}
  for name, value in pairs(more or {cafile = ca.ca}) do request[name] = value end
  local ok, what = http.request(request)
  return ok == 1 and "good" or what
end
local function refused(what, result, text)
  check.ok(what, result:find("^TLS/SSL handshake failed: ") and result:find(text, 1, true), result)
end
local CHAIN, NAME = "certificate verify failed", "and not for 'localhost'"

check.run(function()
  ---------------------------------------------------------------- copas.http
  check.equal("a good one", get(good), "good")
  check.equal("an address", get(good, {url = ("https://127.0.0.1:%d/"):format(good), cafile = ca.ca}), "good")
  check.equal("in sslparams", get(good, {sslparams = {wrap = {cafile = ca.ca}}}), "good")
  check.equal("capath", get(good, {capath = "/nowhere", cafile = ca.ca}), "good")
  refused("wrong name", get(wrong), NAME)
  check.equal("a common name, of the program's authority", get(old), "good")
  refused("expired", get(expired), CHAIN)
  refused("of an unknown authority", get(foreign), CHAIN)
  refused("signed by itself", get(selfsigned), CHAIN)
  refused("without cafile the system's count", get(good, {}), CHAIN)
  refused("a name is no address", get(wrong, {url = ("https://127.0.0.1:%d/"):format(wrong), cafile = ca.ca}),
    "'wrong.example' and not for '127.0.0.1'")

  -- what a program says
  check.equal("verify = none", get(selfsigned, {verify = "none"}), "good")
  check.equal("verify_host = false", get(wrong, {cafile = ca.ca, verify_host = false}), "good")
  refused("keeps the other check", get(foreign, {cafile = ca.ca, verify_host = false}), CHAIN)
  check.equal("verify_host", get(wrong, {cafile = ca.ca, verify_host = "wrong.example"}), "good")
  refused("another one", get(good, {cafile = ca.ca, verify_host = "wrong.example"}), "and not for 'wrong.example'")
  check.equal("in sslparams, too", get(wrong, {sslparams = {wrap = {cafile = ca.ca, verify_host = "wrong.example"}}}),
    "good")
  check.ok("the error says what to write", get(selfsigned):find(
    "verify = 'none', http.SSLVERIFY = 'none' or MILONGA_TLS_VERIFY=none", 1, true))
  check.equal("but not when the program asked for it", get(selfsigned, {verify = "peer"}),
    "TLS/SSL handshake failed: certificate verify failed")
  http.SSLVERIFY = "none"
  check.equal("SSLVERIFY = none", get(selfsigned, {}), "good")
  refused("is not for explicit requests", get(selfsigned, {verify = "peer"}), CHAIN)
  http.SSLVERIFY = "peer"

  ---------------------------------------------------------------- a tunnel
  local asked
  local proxy = web.listen(function(c)
    asked = {c:receive()}
    repeat
      local line = c:receive()
      asked[#asked + 1] = line
    until line == "" or not line
    local port = asked[1]:match "^CONNECT localhost:(%d+) HTTP/1.1$"
    if not port then return c:send "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n" end
    local server = copas.wrap(socket.tcp())
    server:connect("localhost", port)
    c:send "HTTP/1.1 200 Yes\r\nX: y\r\n\r\n"
    local back = copas.addthread(function()
      while true do
        local data, why, partial = server:receivepartial(65536)
        if not c:send(data or partial or "") or (why and why ~= "timeout") then break end
      end
      c:shutdown "send"
    end)
    while true do
      local data, why, partial = c:receivepartial(65536)
      if not server:send(data or partial or "") or (why and why ~= "timeout") then break end
    end
    server:close()
    copas.removethread(back)
  end)
  local through = {proxy = ("http://us%%65r:pw@localhost:%d"):format(proxy), cafile = ca.ca}
  check.equal("a tunnel", get(good, through), "good")
  local head = table.concat(asked, "\n")
  check.ok("CONNECT", head:find("Proxy-Authorization: Basic dXNlcjpwdw==", 1, true)
    and head:find("Host: localhost:" .. good, 1, true), head)
  refused("its end is checked", get(wrong, through), NAME)
  through.url = ("https://127.0.0.1:%d/"):format(good)
  check.equal("a proxy that refuses", get(good, through), "the proxy refuses: HTTP/1.1 403 No")
  through.no_proxy = "localhost, 127.0.0.1"
  check.equal("no_proxy", get(good, through), "good")

  ---------------------------------------------------------------- copas.wrap and connect
  local function connect(port, wrap, sni)
    local parameters = {wrap = {mode = "client", protocol = "any"}, sni = sni}
    for name, value in pairs(wrap) do parameters.wrap[name] = value end
    local sock = copas.wrap(socket.tcp(), parameters)
    local ok, why = pcall(sock.connect, sock, "localhost", port)
    local sent = sock:send "GET / HTTP/1.0\r\n\r\n"
    sock:close()
    return ok and "good" or why, sent
  end
  local peer = {verify = "peer", cafile = ca.ca}
  check.equal("wrap", connect(good, peer), "good")
  local why, sent = connect(wrong, peer)
  check.ok("wrong name", why:find(NAME, 1, true) and not sent, why, sent)
  check.equal("without verify", connect(selfsigned, {}), "good")
  check.equal("the server's name", connect(wrong, peer, {names = "wrong.example"}), "good")
  check.equal("verify_host = false", connect(wrong, {verify = "peer", cafile = ca.ca, verify_host = false}), "good")
  web.stop()
end)
ca.remove()
other.remove()
os.execute(("rm -r '%s'"):format(folder))
