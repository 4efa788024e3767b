local socket = require "socket"
local t = require "show"

local client, peer = t.pair()
local function sent(bytes)
  assert(peer:send(bytes))
  socket.select({client}, nil, 30)
end

-- counts
sent "0123456789"
t.show("4", client:receive(4))
t.show("2.9", client:receive(2.9))
t.show("'1'", client:receive("1"))
t.show("0 with data", client:receive(0))
t.show("0.5 with data", client:receive(0.5))
t.show("0x2", client:receive("0x2"))
t.show("1", client:receive(1))
client:settimeout(0)
t.show("nothing left", client:receive(1))
t.show("0 without data", client:receive(0))
t.show("0 and empty prefix without data", client:receive(0, ""))

-- prefixes
sent "abcdef"
t.show("prefix", client:receive(5, "xyz"))
t.show("prefix as long", client:receive(3, "xyz"))
t.show("prefix longer", client:receive(2, "xyz"))
t.show("prefix, 0", client:receive(0, "xyz"))
t.show("number as prefix", client:receive(4, 12))
t.show("the rest", client:receive(9))
t.show("prefix without data", client:receive(9, "xyz"))
t.show("prefix without a line", client:receive("*l", "xyz"))
t.show("prefix without an end", client:receive("*a", "xyz"))
sent "line\nmore\n"
t.show("prefix of a line", client:receive("*l", "first "))
t.show("prefix with line end", client:receive("*l", "a\nb "))

-- lines
sent "one\ntwo\r\n\n\r\nfi\rv\re\r\r\n\0zero\0\n"
for i = 1, 6 do t.show("line " .. i, client:receive()) end
t.show("no more", client:receive())
sent "part"
t.show("partial line", client:receive("*l"))
t.show("partial is consumed", client:receive("*l"))
sent "pa\rrt\r"
t.show("partial line with CRs", client:receive("*l"))
sent "rest\n"
t.show("rest of line", client:receive("*l", "pa"))
sent "\r\r\r"
t.show("only CRs", client:receive("*l"))
sent "x\n"
t.show("line pattern with a tail", client:receive("*line"))
sent "x\n"
t.show("nil pattern", client:receive(nil))
sent "x\n"
t.show("nil pattern, nil prefix", client:receive(nil, nil))

-- mixed
sent "head\n12345tail\n"
t.show("line", client:receive())
t.show("count", client:receive(5))
t.show("line", client:receive())
sent "ab"
t.show("partial count", client:receive(5))
sent "c\nd"
t.show("scan after a partial", client:receive("*l"))
t.show("partial of a line", client:receive("*l"))
sent "ef"
t.show("count after a partial line", client:receive(2))
sent "g\n"
t.show("line after a count", client:receive("*l"))

-- huge counts
sent "few"
for _, count in ipairs {2 ^ 31, 2 ^ 53, math.maxinteger, 1e18} do
  t.show("huge", client:receive(count))
end
sent "few"
t.show("huge, with data", client:receive(2 ^ 40))

-- wrong patterns
for _, pattern in ipairs {"", "*", "l", "*x", "a", "*n", "* l", "-1", -1, -0.5, "*\0l"} do
  t.try("pattern " .. t.values(pattern), function() return client:receive(pattern) end)
end

-- to the end
local large = ("0123456789abcdef"):rep(4096)
sent(large:sub(1, 50000))
client:settimeout(60)
t.show("large count", client:receive(50000))
sent(large:sub(1, 30000) .. "\n" .. large:sub(1, 100))
t.show("large line", client:receive())
client:settimeout(0.1)
t.show("all, not closed", client:receive("*a"))
sent "last words"
peer:close()
client:settimeout(-1)
t.show("all", client:receive("*a"))
t.show("all again", client:receive("*a"))
t.show("line at the end", client:receive())
t.show("count at the end", client:receive(3))
t.show("0 at the end", client:receive(0))
t.show("prefix at the end", client:receive(3, "x"))
t.show("prefix and all at the end", client:receive("*a", "x"))
t.show("satisfied prefix at the end", client:receive(1, "x"))

-- closed with something left
local function closing(bytes)
  local a, b = t.pair()
  b:send(bytes)
  b:close()
  return a
end
t.show("count, too few", closing("abc"):receive(5))
t.show("line, unfinished", closing("abc"):receive())
t.show("line, unfinished, CR", closing("ab\rc\r"):receive())
t.show("line with prefix, unfinished", closing("abc"):receive("*l", "x"))
t.show("all with prefix", closing("abc"):receive("*a", "x"))
t.show("all with prefix, empty", closing(""):receive("*a", "x"))
t.show("all, empty", closing(""):receive("*a"))
t.show("count 0, closed", closing(""):receive(0))
local rest = closing("line\nabc")
t.show("line", rest:receive())
t.show("rest", rest:receive("*a"))
t.show("end", rest:receive("*a"))

-- reset by the peer
local function resetting(bytes)
  local a, b = t.pair()
  b:send(bytes)
  a:receive(1)
  t.reset(b)
  return a
end
t.show("line, reset", resetting("abc"):receive())
t.show("count, reset", resetting("abc"):receive(5))
t.show("all, reset", resetting("abc"):receive("*a"))
t.show("all, reset, prefix", resetting("a"):receive("*a", "x"))
local twice = resetting("a")
t.show("reset", twice:receive())
t.show("after the reset", twice:receive())
