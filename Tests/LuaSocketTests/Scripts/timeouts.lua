local socket = require "socket"
local t = require "show"

local client, peer = t.pair()

t.show("defaults", client:gettimeout())
t.show("block", client:settimeout(1.5), client:gettimeout())
t.show("total", client:settimeout(2, "t"), client:gettimeout())
t.show("total, other name", client:settimeout(3, "r"), client:gettimeout())
t.show("word", client:settimeout(4, "total"), client:gettimeout())
t.show("word", client:settimeout(5, "block"), client:gettimeout())
t.show("nil", client:settimeout(nil), client:gettimeout())
t.show("nil, total", client:settimeout(nil, "t"), client:gettimeout())
t.show("none", client:settimeout(), client:gettimeout())
t.show("string", client:settimeout("2"), client:gettimeout())
t.show("negative", client:settimeout(-3), client:gettimeout())
t.show("infinite", client:settimeout(math.huge), client:gettimeout())
t.try("mode", function() return client:settimeout(1, "x") end)
t.try("empty mode", function() return client:settimeout(1, "") end)
t.show("unchanged", client:gettimeout())

-- The bound is far from what it takes, and from the other timeout.
local most = 30
local function took(label, least, body, ...)
  local start = socket.gettime()
  t.show(label, body(...))
  local elapsed = socket.gettime() - start
  t.show(label .. " took as long", elapsed >= least - 0.002 and elapsed < most
    or least .. " <= " .. elapsed .. " < " .. most)
end

local function receive(...) return client:receive(...) end
local function set(block, total)
  client:settimeout(block)
  client:settimeout(total, "t")
end

set(0, nil)
took("block 0", 0, receive)
set(0.03, nil)
took("block", 0.03, receive)
set(nil, 0.03)
took("total", 0.03, receive)
set(nil, 0)
took("total 0", 0, receive)
set(0.03, 100)
took("block before total", 0.03, receive)
set(100, 0.03)
took("total before block", 0.03, receive)
set(0, 100)
took("block 0, total", 0, receive)
set(100, 0)
took("total 0, block", 0, receive)
set(-1, -1)
peer:send("x\n")
took("none, with data", 0, receive)

-- Data that is there is taken, however short the time.
set(0, 0)
peer:send("now\n")
socket.select({client}, nil, 30)
t.show("there already", client:receive())
peer:send("partial")
socket.select({client}, nil, 30)
t.show("in part", client:receive())
t.show("in part, prefix", client:receive("*l", "kept"))

-- accept and connect
local server = t.listener()
server:settimeout(0.03)
took("accept", 0.03, function() return server:accept() end)
server:settimeout(nil)
server:settimeout(0.03, "t")
took("accept, total", 0.03, function() return server:accept() end)

-- A backlog that is full makes a connect wait.
local full = socket.tcp4()
full:bind("127.0.0.1", 0)
full:listen(0)
local _, fullPort = full:getsockname()
local waiting = {}
for i = 1, 3 do
  local c = socket.tcp4()
  c:settimeout(0)
  c:connect("127.0.0.1", fullPort)
  waiting[i] = c
end
local late = socket.tcp4()
late:settimeout(0.03)
took("connect", 0.03, function() return late:connect("127.0.0.1", fullPort) end)
t.show("class", late.class)
local later = socket.tcp4()
later:settimeout(0.03, "t")
took("connect, total", 0.03, function() return later:connect("127.0.0.1", fullPort) end)

-- send
local one, two = t.pair()
local large = ("x"):rep(32 * 1024 * 1024)
one:settimeout(0.03)
took("send", 0.03, function() return (select(2, one:send(large))) end)
one:settimeout(nil)
one:settimeout(0.03, "t")
took("send, total", 0.03, function() return (select(2, one:send(large))) end)
t.show("inherited by nobody", two:gettimeout())
