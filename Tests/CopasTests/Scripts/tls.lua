-- oks: 25
local copas = require "copas"
local socket = require "socket"
local certificates = require "certificates"
local check = require "check"

local made = certificates.new "localhost"
local serverSide = made:parameters("server", "localhost")
local clientSide = made:parameters("client", nil, "localhost", "verify = 'peer'")

local failures = {}
copas.seterrorhandler(function(message) failures[#failures + 1] = tostring(message) end, true)

local closedAt = {}
local server, port = check.listener()
copas.addserver(server, copas.handler(function(skt)
  closedAt.name = copas.getsocketname(skt)
  while true do
    local line = skt:receive()
    if not line then return end
    if line == "quit" then return end
    skt:send(line:upper() .. "\n")
  end
end, {wrap = serverSide}), 60, "secure")

local function connect(parameters)
  local c = copas.wrap(socket.tcp(), parameters)
  c:settimeout(60)
  local ok, message = c:connect("127.0.0.1", port)
  return ok and c, message, ok
end

check.run(function()
  local c, message, result = connect {wrap = clientSide}
  check.ok("connect does the handshake, and returns the socket", c and result == c, message)
  check.ok("secure", tostring(c):find "^SSL", tostring(c))
  check.equal("send", c:send "hello\n", 6)
  check.equal("receive", c:receive(), "HELLO")
  check.equal("the connection's name goes on", closedAt.name, "secure:client_1")
  local large = ("x"):rep(1000000)
  copas.addthread(function() c:send(large .. "\n") end)
  check.equal("much, both ways at once", c:receive(), large:upper())
  c:settimeout(0.03)
  check.equal("timeout", select(2, c:receive()), "timeout")
  copas.useSocketTimeoutErrors(true)
  check.equal("what it waited for", select(2, c:receive()), "wantread")
  copas.useSocketTimeoutErrors(false)
  c:settimeout(60)
  c:send "quit\n"
  local rest, why = c:receive "*a"
  check.ok("the handler's end closes it", rest == "" or why == "closed", rest, why)
  c:close()
  check.equal("nobody failed", table.concat(failures), "")

  check.ok("parameters as LuaSec's wrap has them", connect(clientSide))
  local context = require "ssl".newcontext(clientSide)
  check.ok("a context", connect(context))
  local sni = connect {wrap = clientSide, sni = {names = "localhost"}}
  check.ok("a server's name", sni and sni:send "x\n" and sni:receive() == "X")
  check.ok("wrap with something else", not pcall(copas.wrap, socket.tcp(), 5))

  -- by hand
  local raw = socket.tcp()
  copas.settimeout(raw, 60)
  check.ok("plain connect", copas.connect(raw, "127.0.0.1", port))
  local secure = copas.dohandshake(raw, clientSide)
  check.ok("dohandshake returns another socket", tostring(secure):find "^SSL" and raw:getfd() == -1)
  check.equal("with the timeouts of the first", copas.send(secure, "by hand\n") and copas.receive(secure), "BY HAND")
  secure:close()
  local ok, err = pcall(copas.dohandshake, socket.tcp())
  check.ok("without parameters", not ok and err:find("without parameters/context", 1, true), err)

  -- clients that do not speak TLS
  local stranger = copas.wrap(socket.tcp())
  stranger:settimeout(60)
  stranger:connect("127.0.0.1", port)
  check.equal("no protocol to tell", select(2, stranger:getalpn()), "not a tls socket")
  stranger:send "GET / HTTP/1.0\r\n\r\n"
  check.equal("a stranger is disconnected", select(2, stranger:receive "*a"), "closed")
  check.await(function() return failures[1] end)
  check.ok("and reported", #failures == 1 and failures[1]:find "TLS/SSL handshake failed: http request", failures[1])
  local plain, plainPort = check.listener()
  copas.addserver(plain, function(skt) copas.send(skt, "no TLS here\n") end)
  c = copas.wrap(socket.tcp(), {wrap = clientSide})
  c:settimeout(60)
  ok, err = pcall(c.connect, c, "127.0.0.1", plainPort)
  check.ok("a server that speaks something else", not ok and err:find "TLS/SSL handshake failed: ", err)
  copas.removeserver(plain)

  -- a server that says nothing
  local silent, silentPort = check.listener()
  c = copas.wrap(socket.tcp(), {wrap = clientSide})
  c:settimeout(0.05)
  ok, err = c:connect("127.0.0.1", silentPort)
  check.ok("a handshake that times out", ok == nil and err == "timeout", ok, err)
  -- a client that says nothing
  copas.removeserver(server, true)
  copas.addserver(server, copas.handler(print, {wrap = serverSide}), 0.05)
  local mute = copas.wrap(socket.tcp())
  mute:settimeout(60)
  local known = #failures
  mute:connect("127.0.0.1", port)
  check.equal("a mute client is disconnected", select(2, mute:receive()), "closed")
  check.await(function() return #failures > known end)
  check.ok("and reported", failures[#failures]:find "TLS/SSL handshake failed: timeout", failures[#failures])
  copas.removeserver(server)
  silent:close()
end)
made:remove()
