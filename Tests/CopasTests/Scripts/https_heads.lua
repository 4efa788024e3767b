-- oks: 13
-- copas.http over TLS: heads are read in pieces, within limits, and what follows them is not lost.
local copas = require "copas"
local http = require "copas.http"
local ltn12 = require "ltn12"
local check = require "check"
local web = require "web"

local params, folder = web.certificate "localhost"
local function reply(...)
  local pieces = {...}
  return web.listen(function(c)
    repeat local line = c:receive() until not line or line == ""
    for _, piece in ipairs(pieces) do
      if type(piece) == "function" then piece(c) else c:send(piece) end
    end
  end, params)
end
local function get(port, more)
  local body = {}
  local request = {url = ("https://localhost:%d/"):format(port), verify = "none", sink = ltn12.sink.table(body)}
  for name, value in pairs(more or {}) do request[name] = value end
  local ok, code, fields = http.request(request)
  return ok and table.concat(body) or code, code, fields
end
local function endless(piece, pause)
  return function(c)
    while c:send(piece) do copas.pause(pause or 0) end
  end
end
local OK = "HTTP/1.1 200 OK\r\n"
local text = ("0123456789"):rep(5000)

check.run(function()
  local wide = ("X-Field: " .. ("v"):rep(90) .. "\r\n"):rep(500)
  local body, _, fields = get(reply(OK .. wide .. "Content-Length: 50000\r\n\r\n" .. text .. "more"))
  check.ok("a head of 50 KB", body == text and #fields[":all"]["x-field"] == 500, #body)
  check.equal("until the end", get(reply(OK .. "\r\n", text)), text)
  check.equal("in small records", get(reply("H", "TTP/1.1 2", "00 OK\r", "\nContent-", "Length: 3\r\n\r", "\na", "bc")), "abc")
  check.equal("chunks", get(reply(OK .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nc350\r\n" .. text, "\r\n0\r\n", "\r\n")),
    "hello" .. text)
  check.equal("interim replies", get(reply("HTTP/1.1 103 Early\r\n\r\n" .. OK .. "Content-Length: 1\r\n\r\nx")), "x")
  check.equal("HTTP/0.9", get(reply "no head at all"), "no head at all")
  check.equal("cut", get(reply(OK .. "Content-Length: 10\r\n\r\nfive.")), "closed")
  check.equal("cut in the head", get(reply(OK .. "X: y\r\n")), "closed")
  check.equal("a line without an end", get(reply(OK .. "X: ", endless(("x"):rep(1000)))), "line too long")
  check.equal("fields without an end", get(reply(OK, endless("X: y\r\n"))), "reply too long")
  check.equal("a byte now and then", get(reply(OK .. "X: ", endless("x", 0.02)), {timeout = 0.2}), "timeout")
  check.equal("silence", get(reply(OK, function(c) c:receive "*a" end), {timeout = 0.05}), "timeout")
  check.equal("an upload that is asked about", get(reply("HTTP/1.1 100 Continue\r\n\r\n", function(c)
    local sent = c:receive(4)
    c:send(OK .. "Content-Length: 4\r\n\r\n" .. sent)
  end), {
    method = "PUT", source = ltn12.source.string "body", headers = {expect = "100-continue", ["content-length"] = 4},
  }), "body")
  web.stop()
  os.execute(("rm -r '%s'"):format(folder))
end)
