-- Debian's LuaSec on our sockets: it takes the descriptor over, and speaks TLS.
local socket = require "socket"
local certificates = require "certificates"
local ssl = require "ssl"
local t = require "show"

local made = certificates.new "localhost"
local serverSide = made:parameters("server", "localhost")
local clientSide = made:parameters("client", nil, "localhost", "verify = 'peer'")

local function wrapped()
  local client, accepted = t.pair()
  local descriptor = accepted:getfd()
  local s = assert(ssl.wrap(accepted, serverSide))
  local c = assert(ssl.wrap(client, clientSide))
  t.show("taken over", accepted:getfd(), client:getfd(), s:getfd() == descriptor)
  t.show("the empty objects", client:receive(), select(2, accepted:send("x")), client:close(), accepted:close())
  s:settimeout(0)
  c:settimeout(0)
  local pending, wants = {[c] = true, [s] = true}, {wantread = true, wantwrite = true}
  while next(pending) do
    for side in pairs(pending) do
      local ok, message = side:dohandshake()
      assert(ok or wants[message], message)
      if ok then pending[side] = nil end
    end
    if next(pending) then socket.select({c, s}, nil, 5) end
  end
  s:settimeout(60)
  c:settimeout(60)
  return c, s
end

local c, s = wrapped()
t.show("send", c:send("hello\r\nworld\nand more"))
t.show("line", s:receive())
t.show("dirty", s:dirty())
t.show("select", #socket.select({s}, nil, 0))
t.show("line", s:receive("*l"))
t.show("count", s:receive(8))
t.show("nothing more", #socket.select({s}, nil, 0))
t.show("back", s:send("abc", 2), c:receive(2))
local large = ("0123456789"):rep(1000)
t.show("much", c:send(large), s:receive(#large) == large)
t.show("timeout", s:settimeout(0.02), s:receive(5))
s:settimeout(60)
t.show("close", c:close())
t.show("end", s:receive("*a"))
t.show("end", s:receive())
t.show("close", s:close())

-- The peer speaks no TLS.
local client, accepted = t.pair()
s = assert(ssl.wrap(accepted, serverSide))
s:settimeout(60)
client:send("GET / HTTP/1.0\r\n\r\n")
t.show("no TLS", s:dohandshake())
t.show("no socket", pcall(ssl.wrap, {}, serverSide))
made:remove()
