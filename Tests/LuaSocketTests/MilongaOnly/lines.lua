-- The lines of a reply, read within limits, from a socket of ours and from an object that can only
-- receive; what follows them is still there. usage: lines.lua seed
math.randomseed(tonumber(arg[1]) or 1)
local socket = require "socket"
local wire = require "socket.wire"
local buffered = require "socket.buffered"

local server = assert(socket.bind("127.0.0.1", 0))
local host, port = server:getsockname()
local client = assert(socket.connect(host, port))
local accepted = assert(server:accept())

local function foreign()
  return { receive = function(_, size) return client:receive(size) end }
end

local function check(sock, lines, most)
  local sent, total = {}, 0
  for i, line in ipairs(lines) do
    sent[i] = line .. (math.random(2) == 1 and "\r\n" or "\n")
    total = total + #sent[i]
  end
  accepted:send(table.concat(sent) .. "rest")
  local reader = wire.reader(sock, { line = most, total = total, lines = #lines }, 10)
  for i, line in ipairs(lines) do
    local got, err = reader:next()
    if #sent[i] > most then
      assert(not got and err == "line too long", err)
      local left = #table.concat(sent, "", i) - most
      assert(#client:receive(left) == left)
      break
    end
    assert(got == line, got)
  end
  assert(client:receive(4) == "rest")
end

for _ = 1, 200 do
  local lines = {}
  for i = 1, math.random(8) do lines[i] = ("x"):rep(math.random(0, 3) == 0 and math.random(0, 300) or math.random(0, 60)) end
  check(math.random(2) == 1 and client or foreign(), lines, math.random(2) == 1 and 1000 or math.random(50, 300))
end

-- so many lines and bytes, and no more
accepted:send "one\ntwo\nthree\n"
local reader = wire.reader(client, { line = 100, total = 100, lines = 2 })
assert(reader:next() == "one" and reader:next() == "two")
assert(select(2, reader:next()) == "reply too long")
reader = wire.reader(client, { line = 100, total = 3, lines = 100 })
assert(select(2, reader:next()) == "reply too long")
assert(client:receive() == "ee")

-- what is buffered
accepted:send "a\nbc\n"
assert(buffered(client, 10) == "", "it waits for nothing")
assert(client:receive(1) == "a")
assert(buffered(client, 10) == "\n" and buffered(client, 1) == "b" and buffered(client, 0) == "")
assert(buffered(client, 10) == "c\n" and buffered(client, 10) == "")
assert(buffered(foreign(), 10) == nil and buffered(server, 10) == nil and buffered(nil, 1) == nil)
assert(buffered({ socket = client }, 10) == nil, "whatever looks like a wrapper")
assert(not pcall(buffered, client))

-- the end of the connection
accepted:send "last"
accepted:close()
reader = wire.reader(client, { line = 100, total = 100, lines = 2 })
assert(select(2, reader:next()) == "closed")
client:close()
assert(buffered(client, 10) == "")
