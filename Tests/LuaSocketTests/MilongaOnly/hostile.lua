-- Servers that never come to an end: an error, soon, and in little memory.
local copas = require "copas"
local socket = require "socket"
local http = require "socket.http"
local ftp = require "socket.ftp"
local smtp = require "socket.smtp"
local ltn12 = require "ltn12"

local MEMORY = 8192 -- KB that one exchange may take
local SECONDS = 60  -- and how long
local LONG_SECONDS = 5 -- of the processor, for one long line
local TIMEOUT = 0.3 -- where it is the timeout that ends it

---------------------------------------------------------------- the servers

-- Sends the same again and again, until the client has had enough.
local function endless(start, again, pause)
  return function(c)
    c:send(start)
    repeat
      if pause then copas.sleep(pause) end
    until not c:send(again)
  end
end

local head = "HTTP/1.1 200 OK\r\n"
local chunked = head .. "Transfer-Encoding: chunked\r\n\r\n"
local x = ("x"):rep(1000)
local line = "A: " .. x .. "\r\n"

-- What the server does, and the error.
local cases = {
  { "http", "status line", endless("HTTP/1.1 200 ", x), "line too long" },
  { "http", "header line", endless(head .. "A: ", x), "line too long" },
  { "http", "folded line", endless(head .. "A: b\r\n", " " .. x .. "\r\n"), "reply too long" },
  { "http", "header", endless(head, line), "reply too long" },
  { "http", "short fields", endless(head, ("A:\r\n"):rep(100)), "reply too long" },
  { "http", "interim replies", endless("", "HTTP/1.1 100 Continue\r\n\r\n"), "reply too long" },
  { "http", "chunk extension", endless(chunked .. "5;", x), "line too long" },
  { "http", "zeros in a chunk size", endless(chunked, ("0"):rep(1000)), "line too long" },
  { "http", "trailer", endless(chunked .. "0\r\n", line), "reply too long" },
  { "http", "dripping status", endless("HTTP/1.1 200 ", "x", TIMEOUT / 10), "timeout" },
  { "http", "dripping header", endless(head .. "A: ", "x", TIMEOUT / 10), "timeout" },
  { "http", "dripping chunk size", endless(chunked, "0", TIMEOUT / 10), "timeout" },
  { "http", "silence", function() copas.sleep(2 * TIMEOUT) end, "timeout" },
  { "http", "silence in the body", function(c)
    c:send(head .. "Content-Length: 10\r\n\r\n12345")
    copas.sleep(2 * TIMEOUT)
  end, "timeout" },
  { "ftp", "greeting line", endless("220 ", x), "line too long" },
  { "ftp", "greeting", endless("220-x\r\n", ("220-x\r\n"):rep(1000)), "reply too long" },
  { "ftp", "short lines", endless("220-x\r\n", ("\r\n"):rep(1000)), "reply too long" },
  { "ftp", "dripping greeting", endless("220-", "x\r\n", TIMEOUT / 10), "timeout" },
  { "smtp", "greeting", endless("220-x\r\n", ("220-x\r\n"):rep(1000)), "reply too long" },
  { "smtp", "silence", function() copas.sleep(2 * TIMEOUT) end, "timeout" },
}

-- Long lines that make a pattern try each place with each other one. What it takes to read them
-- must grow as they do: hours and milliseconds are told apart here, not fast and slow.
local LONG = 60000
local logged_in = "220 hi\r\n331 pw\r\n230 ok\r\n"
local long = {
  { "http", "spaces in a location",
    "HTTP/1.1 302 x\r\nLocation:\tx" .. (" "):rep(LONG) .. "x\r\nContent-Length: 0\r\n\r\n" },
  { "http", "a long coding", head .. "Transfer-Encoding: " .. ("a"):rep(LONG) .. " ,\r\n\r\n" },
  { "http", "spaces in a coding", head .. "Transfer-Encoding: " .. (" "):rep(LONG) .. "x,\r\n\r\n" },
  { "http", "a long length", head .. "Content-Length: " .. ("1 "):rep(LONG // 2) .. "\r\n\r\n" },
  { "http", "zeros", chunked .. ("0"):rep(4000) .. "x\r\n" },
  { "ftp", "marks", logged_in .. "229 (" .. ("|"):rep(LONG) .. "\r\n" },
  { "ftp", "brackets", logged_in .. "229 " .. ("("):rep(LONG) .. "\r\n" },
  { "ftp", "digits and marks", logged_in .. "229 (|" .. ("1|"):rep(LONG // 2) .. "\r\n" },
  { "ftp", "digits", logged_in .. "500 no\r\n227 " .. ("1"):rep(LONG) .. "\r\n" },
  { "ftp", "numbers", logged_in .. "500 no\r\n227 " .. ("1,"):rep(LONG // 2) .. "\r\n" },
  { "smtp", "AUTH", "220 hi\r\n250 " .. ("AUTH"):rep(LONG // 4) .. "\r\n" },
}
local serve -- of the case that runs
local listener = assert(socket.bind("127.0.0.1", 0))
local port = math.tointeger(tonumber((select(2, listener:getsockname()))))
copas.addserver(listener, copas.handler(function(c)
  serve(c)
  c:close()
end))

---------------------------------------------------------------- the clients

local function create() return copas.wrap(socket.tcp()) end

local clients = {
  http = function() return http.request { url = "http://127.0.0.1:" .. port .. "/", create = create } end,
  ftp = function()
    return ftp.get { host = "127.0.0.1", port = port, path = "x", sink = ltn12.sink.null(), create = create }
  end,
  smtp = function()
    return smtp.send {
      from = "<a@b>", rcpt = "<c@d>", server = "127.0.0.1", port = port, create = create,
      source = ltn12.source.string "x", user = "u", password = "p",
    }
  end,
}

local function check(kind, name, server, expected)
  serve = server
  local timeout = expected == "timeout" and TIMEOUT or SECONDS
  http.TIMEOUT, ftp.TIMEOUT, smtp.TIMEOUT = timeout, timeout, timeout
  collectgarbage()
  local before, start = collectgarbage "count", socket.gettime()
  local result, err = clients[kind]()
  local memory, seconds = collectgarbage "count" - before, socket.gettime() - start
  local text = ("%s, %s: %s after %.2f s, %d KB"):format(kind, name, err, seconds, memory // 1)
  assert(result == nil and err == expected and seconds < SECONDS and memory < MEMORY, text)
end

local checked = 0
local function main()
  for _, case in ipairs(cases) do
    check(table.unpack(case))
    checked = checked + 1
  end

  for _, case in ipairs(long) do
    local kind, name, reply = table.unpack(case)
    serve = function(c)
      c:send(reply)
      c:shutdown "send"
      repeat until not c:receive(1)
    end
    http.TIMEOUT, ftp.TIMEOUT, smtp.TIMEOUT = SECONDS, SECONDS, SECONDS
    local start = os.clock()
    local result, err = clients[kind]()
    local text = ("%s, %s: %s after %.1f s"):format(kind, name, tostring(err):sub(1, 100), os.clock() - start)
    assert(kind == "http" or result == nil and type(err) == "string", text)
    assert(os.clock() - start < LONG_SECONDS, text)
    checked = checked + 1
  end

  http.TIMEOUT = SECONDS
  -- A chunk that is longer than memory should be comes in pieces; the sink stops it.
  serve = endless(chunked .. "7fffffffffff\r\n", x)
  local longest, total = 0, 0
  local result, err = http.request {
    url = "http://127.0.0.1:" .. port .. "/", create = create,
    sink = function(chunk)
      longest, total = math.max(longest, #(chunk or "")), total + #(chunk or "")
      if total > 1000000 then return nil, "enough" end
      return 1
    end,
  }
  assert(result == nil and err == "enough" and longest <= 65536, longest)

  -- Redirections in a circle.
  local hops = 0
  serve = function(c)
    repeat until c:receive() == ""
    hops = hops + 1
    c:send "HTTP/1.1 301 Round\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
  end
  local _, code = http.request { url = "http://127.0.0.1:" .. port .. "/", create = create }
  assert(code == 301 and hops == 6, hops)
end

local ok, err
copas.addthread(function()
  ok, err = xpcall(main, debug.traceback)
  copas.removeserver(listener)
end)
copas.loop()
assert(ok, err)
assert(checked == #cases + #long, checked)
