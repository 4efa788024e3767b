-- Sources on a socket that does not wait: every byte arrives, in whatever pieces the bytes come.
-- usage: sources.lua seed
math.randomseed(tonumber(arg[1]) or 1)
local socket = require "socket"

local function pair()
  local server = assert(socket.bind("127.0.0.1", 0))
  local host, port = server:getsockname()
  local client = assert(socket.connect(host, port))
  local accepted = assert(server:accept())
  server:close()
  client:settimeout(0)
  return client, accepted
end

local function random(count)
  local bytes = {}
  for i = 1, count do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

-- Sends a piece now and then, and asks the source until it has nothing. The last results.
local function collect(source, accepted, text, client)
  local got, sent = {}, 0
  repeat
    if sent < #text then
      local last = math.min(#text, sent + math.random(1, 5000))
      assert(accepted:send(text, sent + 1, last))
      sent = last
      if sent == #text then accepted:shutdown "send" end
    end
    socket.select({ client }, nil, 1)
    local chunk, err
    repeat
      chunk, err = source()
      got[#got + 1] = chunk
    until not chunk
    assert(not err or err == "timeout", err)
  until not err
  return table.concat(got)
end

for _ = 1, 20 do
  local text = random(math.random(0, 30000))
  local client, accepted = pair()
  assert(collect(socket.source("until-closed", client), accepted, text, client) == text)
  client, accepted = pair()
  local length = math.random(0, #text)
  assert(collect(socket.source("by-length", client, length), accepted, text, client) == text:sub(1, length))
end

-- A socket that waits tells of its timeout once, after what has come.
local client, accepted = pair()
client:settimeout(0.02)
accepted:send "half"
local source = socket.source("by-length", client, 10)
local start = socket.gettime()
assert(source() == "half")
local chunk, err = source()
assert(chunk == nil and err == "timeout" and socket.gettime() - start < 30)
accepted:send "andall"
assert(source() == "andall" and source() == nil)
