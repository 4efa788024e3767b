local socket = require "socket"
local t = require "show"

local client, peer = t.pair()
peer:settimeout(0)

-- What the peer has got, all of it.
local function received(pattern)
  local _, sent = client:getstats()
  if sent > peer:getstats() then socket.select({peer}, nil, 30) end
  return peer:receive(pattern)
end

t.show("send", client:send("hello"))
t.show("it", received(5))
t.show("empty", client:send(""))
t.show("number", client:send(12.5))
t.show("it", received(4))
t.show("zeros", client:send("a\0b"))
t.show("it", received(3))

local bounds = {-100, -6, -5, -3, -1, 0, 1, 2, 5, 6, 100, 2.7, -2.7}
for _, first in ipairs(bounds) do
  t.show("from " .. first, client:send("abcde", first))
  t.show("  it", select(3, received("*l")))
  for _, last in ipairs(bounds) do
    t.show("from " .. first .. " to " .. last, client:send("abcde", first, last))
    t.show("  it", select(3, received("*l")))
  end
end
t.show("empty, from 1 to 1", client:send("", 1, 1))
t.show("empty, from -1", client:send("", -1))
t.show("strings as numbers", client:send("abcde", "2", "3"))
t.show("  it", select(3, received("*l")))
t.show("nil bounds", client:send("ab", nil, nil))
t.show("  it", select(3, received("*l")))

-- A peer that does not read.
local large = ("x"):rep(32 * 1024 * 1024)
client:settimeout(0)
local ok, err, last = client:send(large)
t.show("full", ok, err, last > 0 and last < #large, math.type(last))
local again, err2, last2 = client:send(large, last + 1)
t.show("still full", again, err2, last2 >= last and last2 < #large)
client:settimeout(0.02)
ok, err, last2 = client:send("more", 2)
t.show("times out", ok, err, last2)
ok, err, last2 = client:send("more", 4, 4)
t.show("times out at the last", ok, err, last2)

-- What was sent arrives, in order.
local _, sent = client:getstats()
local _, _, rest = peer:receive("*a")
assert(not rest:find "[^x]")
peer:settimeout(60)
while peer:getstats() < sent do
  local part = assert(peer:receive(math.min(1024 * 1024, sent - peer:getstats())))
  assert(not part:find "[^x]")
end
peer:settimeout(0)
t.show("all arrived", sent > 0, select(1, peer:getstats()) == sent, peer:receive(1))

-- A peer that is gone.
peer:close()
local reason
for _ = 1, 5000 do
  ok, reason = client:send("x")
  if not ok then break end
  socket.sleep(0.002)
end
t.show("gone", ok, reason)
t.show("gone for good", client:send("x"))
t.show("nothing is sent", client:send(""))
t.show("partial", client:send("abcdef", 3))
t.show("receive", (select(2, client:receive())))
