-- oks: 29
-- copas.http: connections that are kept for further requests.
local copas = require "copas"
local socket = require "socket"
local http = require "copas.http"
local ltn12 = require "ltn12"
local check = require "check"
local web = require "web"

local connections, requests, asked = 0, 0, nil

-- Serves requests on one connection until the client, or `last` of the answer, ends it.
local function site(answer, sslparams)
  return web.listen(function(c)
    connections = connections + 1
    while true do
      local line = c:receive()
      if not line then return end
      local fields = {}
      for field in function() return c:receive() end do
        if field == "" then break end
        local name, value = field:match "^(.-):%s*(.*)$"
        fields[name:lower()] = value
      end
      requests, asked = requests + 1, fields.connection
      local length = tonumber(fields["content-length"])
      local body = length and c:receive(length)
      if answer(c, line:match "^%u+ (%S+)", body, fields) then return end
    end
  end, sslparams)
end

local pages = {
  ["/close"] = function(c) c:send "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" end,
  ["/old"] = function(c) c:send "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n" end,
  ["/oldkept"] = function(c) c:send "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n" end,
  ["/chunks"] = function(c) c:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" end,
  ["/none"] = function(c) c:send "HTTP/1.1 204 No\r\n\r\n" end,
  ["/until"] = function(c)
    c:send "HTTP/1.1 200 OK\r\n\r\nall"
    return true
  end,
  ["/more"] = function(c) c:send "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 Smuggled\r\n\r\n" end,
  ["/to"] = function(c) c:send "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 4\r\n\r\ngone" end,
  ["/last"] = function(c)
    c:send "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    return true -- without a word about it
  end,
}
local function answer(c, uri, body)
  if pages[uri] then return pages[uri](c) end
  local text = uri .. " " .. (body or "")
  c:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text))
end
local port = site(answer)
local base = ("http://127.0.0.1:%d"):format(port)

-- How many connections and requests the requests took.
local function took(paths, more)
  connections, requests = 0, 0
  for _, path in ipairs(paths) do
    local request = {url = base .. path, keepalive = true}
    for name, value in pairs(more or {}) do request[name] = value end
    if request.newsource then request.headers = {["content-length"] = 4} end
    local ok, why = http.request(request)
    if not ok then return why end
    copas.pause(0.002) -- what the server does next arrives
  end
  return connections .. " " .. requests
end

-- Ends what is kept.
local function forget() took {"/last"} end

check.run(function()
  check.equal("off at first", took({"/a", "/b"}, {keepalive = false}), "2 2")
  check.equal("says so", asked, "close, TE")
  http.KEEPALIVE = true
  connections = 0
  check.equal("KEEPALIVE", http.request(base .. "/a"), "/a ")
  check.equal("the same connection", http.request(base .. "/b"), "/b ")
  check.equal("one connection", connections, 1)
  check.equal("asks for it", asked, "keep-alive, TE")
  http.KEEPALIVE = nil
  check.equal("in the same pool", took {"/a", "/b", "/c"}, "0 3")
  forget()
  check.equal("Connection: close of the server", took {"/close", "/close"}, "2 2")
  check.equal("HTTP/1.0", took {"/old", "/old"}, "2 2")
  check.equal("HTTP/1.0 with keep-alive", took {"/oldkept", "/oldkept"}, "1 2")
  forget()
  check.equal("chunks, and no body", took {"/chunks", "/none", "/chunks"}, "1 3")
  forget()
  check.equal("until the end", took {"/until", "/until"}, "2 2")
  check.equal("bytes behind the answer", took {"/more", "/a"}, "2 2")
  forget()
  check.equal("redirections", took {"/to", "/to"}, "1 4")
  forget()
  check.equal("HEAD", took({"/none", "/none"}, {method = "HEAD"}), "1 2")
  forget()
  check.equal("a connection that has ended", took {"/last", "/last"}, "2 2")
  check.equal("Connection: close of the program", took({"/a", "/a"}, {headers = {Connection = "close"}}), "2 2")
  check.equal("an own create", took({"/a", "/a"}, {create = function() return copas.wrap(socket.tcp()) end}), "2 2")
  check.equal("with a pool", took({"/a", "/a"}, {create = function() return copas.wrap(socket.tcp()) end, pool = "own"}),
    "1 2")

  ---------------------------------------------------------------- bodies
  forget()
  local function text() return ltn12.source.string "text" end
  check.equal("PUT that can be sent again", took({"/a", "/a"}, {method = "PUT", newsource = text}), "1 2")
  check.equal("POST", took({"/a", "/a"}, {method = "POST", newsource = text}), "2 2")

  -- A server that closes when a request comes: it is sent once more, or not.
  local served = 0
  local moody = web.listen(function(c)
    served = served + 1
    repeat local line = c:receive() until not line or line == ""
    web.text(c, "hello")
    c:receive() -- the next request is not answered
  end)
  local url = ("http://127.0.0.1:%d/"):format(moody)
  http.KEEPALIVE = true
  check.equal("first", http.request(url), "hello")
  check.equal("sent again", http.request(url), "hello")
  check.equal("on a new connection", served, 2)

  ---------------------------------------------------------------- what is kept apart
  local params, folder = web.certificate "localhost"
  local secure = site(answer, params)
  local function get(more)
    local request = {url = ("https://localhost:%d/"):format(secure), verify = "none"}
    for name, value in pairs(more or {}) do request[name] = value end
    return (select(2, http.request(request)))
  end
  connections = 0
  check.ok("https", get() == 200 and get() == 200 and connections == 1, connections)
  check.ok("not for those who check", tostring(get {verify = "peer"}):find "certificate verify failed")
  check.ok("nor with other names", get {verify = "peer", cafile = params.certificate} == 200
    and tostring(get {verify = "peer", cafile = params.certificate, verify_host = "other"}):find "not for 'other'")

  ---------------------------------------------------------------- many threads
  connections = 0
  local done, good = 0, 0
  for _ = 1, 20 do
    copas.addthread(function()
      for i = 1, 10 do
        if http.request(("%s/%d"):format(base, i)) == ("/%d "):format(i) then good = good + 1 end
      end
      done = done + 1
    end)
  end
  while done < 20 do copas.pause(0.002) end
  check.equal("many threads", good, 200)
  check.ok("share connections", connections <= 60, connections)
  web.stop()
  os.execute(("rm -r '%s'"):format(folder))
  os.exit(0, true) -- servers wait for their idle clients
end)
