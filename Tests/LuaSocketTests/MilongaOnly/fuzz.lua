-- Random and mangled replies for http, ftp and smtp: a result or an error, soon, nothing left open,
-- and never more to the sink than was received. usage: fuzz.lua seed
math.randomseed(tonumber(arg[1]) or 1)
local random = math.random

local socket = require "socket"
local http = require "socket.http"
local ftp = require "socket.ftp"
local smtp = require "socket.smtp"
local ltn12 = require "ltn12"

local ROUNDS = 1500
local SECONDS = 20 -- for one reply; the slowest take a tenth of one

---------------------------------------------------------------- a peer

local open = 0 -- sockets that were made and not closed

-- A socket that receives `reply`, then ends with an error.
local function peer(reply)
  local position, closed, sent = 1, false, 0
  open = open + 1
  local sock = {}
  function sock.settimeout() return 1 end
  function sock.connect() return 1 end
  function sock.getpeername() return "127.0.0.1", 21, "inet" end
  function sock.getsockname() return "127.0.0.1", 22, "inet" end
  function sock.getstats() return position - 1, sent, 0 end
  function sock.getfd() return -1 end
  function sock.dirty() return false end
  function sock.close()
    if not closed then open = open - 1 end
    closed = true
    return 1
  end
  function sock.send(_, data)
    if closed then return nil, "closed", 0 end
    sent = sent + #data
    return #data
  end
  function sock.receive(_, size)
    if closed then return nil, "closed", "" end
    assert(math.type(size) == "integer" and size > 0 and size <= 65536, size)
    local bytes = reply:sub(position, position + size - 1)
    position = position + #bytes
    if #bytes < size then return nil, random(2) == 1 and "closed" or "timeout", bytes end
    return bytes
  end
  return sock
end

-- There is nothing to wait for.
socket.select = function() return {} end

---------------------------------------------------------------- replies

local function pick(list) return list[random(#list)] end

local function bytes(count)
  local t = {}
  for i = 1, count do t[i] = string.char(random(0, 255)) end
  return table.concat(t)
end

-- Pieces of the dictionary one after the other.
local function assemble(dictionary)
  local parts = {}
  for i = 1, random(0, 12) do parts[i] = pick(dictionary) end
  return table.concat(parts)
end

local mutations = {
  function(text, at) return text:sub(1, at) end,
  function(text, at) return text:sub(1, at) .. text:sub(at + random(0, 9)) end,
  function(text, at) return text:sub(1, at) .. bytes(random(1, 4)) .. text:sub(at + 1) end,
  function(text, at) return text:sub(1, at) .. text:sub(at):rep(random(2, 4)) end,
  function(text, at) return text:sub(1, at) .. ("9"):rep(random(1, 30)) .. text:sub(at + 1) end,
  function(text, at) return text:sub(1, at) .. pick { "\n", "\r", "\0", " ", "-", ":", ";", "\r\n" } .. text:sub(at + 1) end,
  function(text, at) return text:sub(1, at) .. text:sub(at, at + 20):rep(random(1, 20000)) .. text:sub(at) end,
}

local function mangle(text)
  for _ = 1, random(0, 4) do
    local mutation = random(40) == 1 and mutations[#mutations] or mutations[random(#mutations - 1)]
    if #text > 0 then text = mutation(text, random(#text)) end
  end
  return text
end

local head = "HTTP/1.1 200 OK\r\n"
local web = {
  head, head .. "Content-Length: 5\r\n\r\nhello", head .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.0 301 Moved\r\nLocation: /there\r\n\r\n",
  "HTTP/1.1 204 No\r\n\r\n", "\r\n", "A: b\r\n", " folded\r\n", "Location: http://other/\r\n",
  "Content-Length: ", "Transfer-Encoding: chunked\r\n", "ffffffff\r\n", "5;a=b\r\nhello\r\n", "0\r\n\r\n", "hello",
}
local files = {
  "220 hi\r\n331 pw\r\n230 ok\r\n", "229 Entering (|||5555|)\r\n", "150 opening\r\n226 done\r\n221 bye\r\n",
  "220-many\r\n220-lines\r\n220 end\r\n", "500 no\r\n", "227 ok (1,2,3,4,5,6)\r\n", "200 type\r\n", "226 done\r\n",
  "250 fine\r\n", "120 wait\r\n", "229 (|||", "227 ", "\r\n", "150-\r\n", "999 x\r\n",
}
local mails = {
  "220 hi\r\n250-me\r\n250-AUTH PLAIN LOGIN\r\n250 OK\r\n", "250 from\r\n250 rcpt\r\n354 go\r\n250 done\r\n221 bye\r\n",
  "235 ok\r\n", "334 more\r\n", "250 x\r\n", "250-x\r\n", "354 go\r\n", "550 no\r\n", "\r\n", "25", "220-\r\n", "421 \r\n",
}

local function reply(dictionary, whole)
  return mangle(random(3) == 1 and whole or assemble(dictionary))
end

---------------------------------------------------------------- programs

local received -- bytes that reached the sink

local function count(chunk)
  received = received + #(chunk or "")
  return 1
end

local function sockets(dictionary, whole)
  local total = 0
  return function()
    local text = reply(dictionary, whole)
    total = total + #text
    return peer(text)
  end, function() return total end
end

local function run(kind, dictionary, whole, body)
  local create, total = sockets(dictionary, whole)
  socket.tcp = create
  received = 0
  local start = os.clock()
  local ok, result, err = pcall(body, create)
  assert(ok, kind .. ": " .. tostring(result))
  assert(result or type(err) == "string", kind .. ": no error message")
  assert(received <= total(), kind .. ": more than there was")
  assert(os.clock() - start < SECONDS, kind .. ": too slow")
  assert(open == 0, kind .. ": left open")
end

for _ = 1, ROUNDS do
  run("http", web, web[random(2, 3)], function(create)
    return http.request { url = "http://host/path", create = create, sink = count,
      method = pick { "GET", "HEAD", "POST" }, source = pick { false, ltn12.source.string "body" } or nil }
  end)
  run("ftp get", files, files[1] .. files[2] .. files[3], function(create)
    return ftp.get { host = "host", path = "/file", sink = count, create = create }
  end)
  run("ftp put", files, files[1] .. files[2] .. files[3], function(create)
    return ftp.put { host = "host", path = "/file", source = ltn12.source.string "text", create = create }
  end)
  run("ftp command", files, files[1] .. files[9] .. files[8], function(create)
    return ftp.command { host = "host", command = "dele", argument = "x", create = create }
  end)
  run("smtp", mails, mails[1] .. mails[2], function(create)
    return smtp.send { from = "<a@b>", rcpt = "<c@d>", source = ltn12.source.string "text", create = create,
      user = pick { "u", false } or nil, password = "p" }
  end)
end
