-- oks: 26
-- copas.http: servers that answer before they have read the body, and what comes around a body.
local copas = require "copas"
local http = require "copas.http"
local ltn12 = require "ltn12"
local check = require "check"
local web = require "web"

local function head(c)
  local fields = {}
  for line in function() return c:receive() end do
    if line == "" then return fields end
    local name, value = line:match "^(.-):%s*(.*)$"
    if name then fields[name:lower()] = value end
  end
end

local LARGE = 1024 -- pieces of 64 KB: more than sockets hold

-- A source that counts what is taken from it.
local function counted(pieces)
  local taken = 0
  return function()
    if taken == pieces then return nil end
    taken = taken + 1
    return ("z"):rep(65536)
  end, function() return taken end
end

local function upload(port, more)
  local source, taken = counted(LARGE)
  local answer = {}
  local request = {
    url = ("http://127.0.0.1:%d/"):format(port), method = "POST", source = source,
    headers = {["content-length"] = LARGE * 65536}, sink = ltn12.sink.table(answer),
  }
  for name, value in pairs(more or {}) do request[name] = value end
  local ok, code = http.request(request)
  return ok, code, table.concat(answer), taken()
end

-- Servers that answer at once, and read nothing of the body.
local done = false
local function early(text, ending)
  return web.listen(function(c)
    head(c)
    c:send(text)
    if ending then ending(c) end
  end)
end
local REFUSAL = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge"
local function shut(c)
  c:shutdown "send"
  copas.pause(0.05)
end
local function stay() while not done do copas.pause(0.01) end end

check.run(function()
  ---------------------------------------------------------------- early answers
  for name, ending in pairs {["a server that closes"] = false, ["one that closes later"] = shut} do
    local ok, code, body, taken = upload(early(REFUSAL, ending or nil))
    check.ok(name, ok == 1 and code == 413 and body == "large", ok, code, body)
    check.ok("is not sent all", taken < LARGE, taken)
  end
  local ok, code, body = upload(early(REFUSAL, shut), {headers = {}})
  check.ok("in chunks", ok == 1 and code == 413 and body == "large", ok, code)
  ok, code, body = upload(early("HTTP/1.1 100 Continue\r\n\r\n" .. REFUSAL, shut))
  check.ok("after an interim reply", ok == 1 and code == 413 and body == "large", ok, code)
  ok, code = upload(early(REFUSAL, stay), {timeout = 0.1})
  check.ok("a server that answers and stays, but reads nothing", ok == 1 and code == 413, ok, code)
  ok, code = upload(early("", stay), {timeout = 0.1})
  check.ok("a silent one", ok == nil and code == "timeout", ok, code)
  ok, code = upload(early "")
  check.ok("one that closes without a word", ok == nil and code == "closed", ok, code)
  ok, code = upload(early "HTTP/1.1 nonsense\r\n\r\n")
  check.ok("or with nonsense", ok == nil, ok, code)
  ok, code = upload(early("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", shut), {redirect = true})
  check.ok("a redirection of what cannot be sent again", ok == 1 and code == 302, ok, code)
  ok, code = upload(early(REFUSAL, stay), {source = function() return nil, "broken" end})
  check.ok("a source that fails", ok == nil and code == "broken", ok, code)
  done = true
  local received
  local patient = web.listen(function(c)
    local fields = head(c)
    c:send "HTTP/1.1 102 Processing\r\n\r\n"
    received = c:receive(tonumber(fields["content-length"]))
    web.text(c, "thanks")
  end)
  ok, code, body = upload(patient)
  check.ok("interim replies do not end an upload", code == 200 and #received == LARGE * 65536 and body == "thanks", code)

  ---------------------------------------------------------------- Expect: 100-continue
  local asked
  local function expecting(reply)
    return web.listen(function(c)
      asked = head(c).expect
      if reply then c:send(reply) end
      received = c:receive(4)
      if received and reply == "HTT" then c:send "P/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
      elseif received then web.text(c, "got it") end
    end)
  end
  local function expect(port, continue)
    local taken, answer = 0, {}
    local _, status = http.request {
      url = ("http://127.0.0.1:%d/"):format(port), method = "PUT", continue = continue, sink = ltn12.sink.table(answer),
      headers = {["content-length"] = 4, Expect = "100-continue"},
      source = function()
        taken = taken + 1
        return taken == 1 and "body" or nil
      end,
    }
    return status, taken, table.concat(answer)
  end
  local status, taken
  status, taken, body = expect(expecting "HTTP/1.1 100 Continue\r\n\r\n", 60)
  check.ok("a server that wants the body", status == 200 and taken == 2 and body == "got it", status, taken)
  check.ok("was asked", asked == "100-continue" and received == "body", asked)
  status, taken, body = expect(expecting(REFUSAL), 60)
  check.ok("one that does not", status == 413 and taken == 0 and body == "large", status, taken)
  status, taken = expect(expecting(nil), 0.01)
  check.ok("one that does not know the question", status == 200 and taken == 2, status, taken)
  status, taken = expect(expecting "HTT", 0.05)
  check.ok("one whose answer comes in two pieces", status == 200 and taken == 2, status, taken)

  ---------------------------------------------------------------- fields
  local rich = web.serve(function(c, request)
    if request.uri == "/to" then return web.redirect(c, "/rich?a=b") end
    c:send("HTTP/1.1 200 OK\r\nSet-Cookie: a=1, x\r\nSet-Cookie: b=2\r\n folded\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "1\r\nx\r\n0\r\nDigest: 7\r\nDigest: 8\r\n\r\n")
  end)
  local site = "http://u:p@127.0.0.1:" .. rich
  local _, _, fields = http.request(site .. "/to#part")
  check.equal("joined", fields["set-cookie"], "a=1, x, b=2 folded")
  check.equal("one by one", table.concat(fields[":all"]["set-cookie"], "|"), "a=1, x|b=2 folded")
  check.equal("where it is from", fields[":url"], ("http://127.0.0.1:%d/rich?a=b#part"):format(rich))
  check.equal("trailers", fields[":trailers"].digest, "7, 8")
  local names = 0
  for name in pairs(fields) do names = names + (name:find "^:" and 1 or 0) end
  check.equal("only when asked for", names, 0)

  ---------------------------------------------------------------- limits
  local wide = web.serve(function(c)
    c:send("HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(70000) .. "\r\n" .. ("A: b\r\n"):rep(1500) .. "Content-Length: 0\r\n\r\n")
  end)
  local url = "http://127.0.0.1:" .. wide
  check.equal("a long line", select(2, http.request(url)), "line too long")
  check.equal("many fields", select(2, http.request {url = url, limits = {line = 100000}}), "reply too long")
  http.LIMITS = {line = 100000, lines = 2000}
  check.equal("limits", select(2, http.request(url)), 200)
  http.LIMITS = nil
  web.stop()
end)
