-- oks: 50
-- copas.http: requests in threads, against a server in the same process.
local copas = require "copas"
local socket = require "socket"
local http = copas.http
local ltn12 = require "ltn12"
local check = require "check"
local web = require "web"

local big = ("0123456789"):rep(30000)

local slow = {now = 0, most = 0}
local pages = {
  ["/big"] = function(c) web.text(c, big) end,
  ["/chunks"] = function(c)
    c:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _, size in ipairs {1, 10, 3000, 70000} do
      c:send(("%x;extension\r\n%s\r\n"):format(size, big:sub(1, size)))
      copas.pause(0.001)
    end
    c:send "0\r\nTrailer: x\r\n\r\n"
  end,
  ["/closed"] = function(c) c:send "HTTP/1.0 200 OK\r\n\r\nall there is" end,
  ["/old"] = function(c) c:send "no head at all" end,
  ["/continue"] = function(c)
    c:send "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    web.text(c, "continued")
  end,
  ["/empty"] = function(c) c:send "HTTP/1.1 204 No Content\r\n\r\n" end,
  ["/slow"] = function(c)
    slow.now = slow.now + 1
    slow.most = math.max(slow.most, slow.now)
    copas.pause(0.05)
    slow.now = slow.now - 1
    web.text(c, "slow")
  end,
  ["/cut"] = function(c) c:send "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort" end,
  ["/fields"] = function(c) c:send "HTTP/1.1 200 OK\r\nno field\r\n\r\n" end,
  ["/size"] = function(c) c:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n" end,
  ["/bye"] = function() end,
}

local port = web.serve(function(c, request)
  local page = pages[request.uri]
  if page then return page(c) end
  web.text(c, ("%s %s %d %s"):format(request.method, request.uri, #request.body, request.body:sub(1, 20)))
end)
local site = "http://localhost:" .. port

check.equal("a module and a field of copas", require "copas.http", http)
check.equal("TIMEOUT", http.TIMEOUT, 60)
check.ok("settings", http.PORT == 80 and http.SSLPORT == 443 and http.SSLPROTOCOL == "tlsv1_2"
  and http.SSLOPTIONS == "all" and http.SSLVERIFY == "peer" and http.SSLSNISTRICT == false
  and http.USERAGENT == socket._VERSION)
check.ok("outside a thread", not pcall(http.request, site .. "/"))

check.run(function()
  ---------------------------------------------------------------- the simple form
  local body, code, fields, status = http.request(site .. "/a?b=c#d")
  check.equal("body, without the fragment", body, "GET /a?b=c 0 ")
  check.ok("code, fields and status", code == 200 and fields["content-length"] == tostring(#body)
    and status == "HTTP/1.1 200 OK", code, status)
  check.equal("post", http.request(site .. "/form", "x=1&y=2"), "POST /form 7 x=1&y=2")
  check.equal("much", http.request(site .. "/big"), big)
  check.equal("chunks", #http.request(site .. "/chunks"), 73011)
  check.equal("until the end", http.request(site .. "/closed"), "all there is")
  check.equal("HTTP/0.9", http.request(site .. "/old"), "no head at all")
  check.equal("interim replies", http.request(site .. "/continue"), "continued")
  body, code = http.request(site .. "/empty")
  check.ok("no content", body == "" and code == 204, body, code)

  ---------------------------------------------------------------- the generic form
  local pieces, uses = {}, 0
  local request = {
    url = site .. "/put", method = "PUT", source = ltn12.source.string(("x"):rep(100000)),
    sink = ltn12.sink.table(pieces), headers = {["Content-Length"] = 100000},
    step = function(...)
      uses = uses + 1
      return ltn12.pump.step(...)
    end,
  }
  body, code = http.request(request)
  check.ok("PUT", body == 1 and code == 200 and table.concat(pieces) == "PUT /put 100000 " .. ("x"):rep(20), code)
  check.ok("step", uses > 2)
  check.ok("the request is left as it is", request.create == nil and request.timeout == nil)

  -- without a length
  local sent
  local chunkport = web.serve(function(c, what)
    sent = what
    web.text(c, "taken")
  end)
  local left = 5
  check.equal("chunked request", http.request {
    url = "http://localhost:" .. chunkport .. "/up", method = "POST",
    source = function()
      left = left - 1
      if left == 0 then return nil end
      copas.pause(0.001) -- sources may wait
      return ("%d"):format(left):rep(1000)
    end,
    sink = function(chunk) -- and sinks
      if chunk then copas.pause(0.001) end
      return 1
    end,
  }, 1)
  check.ok("in chunks", sent.chunks == 4 and #sent.body == 4000 and sent.headers["transfer-encoding"] == "chunked",
    sent.chunks)
  check.equal("HEAD", select(2, http.request {url = site .. "/big", method = "HEAD"}), 200)
  check.equal("without URL", select(2, http.request {host = "localhost", port = port, path = "/p"}), 200)
  check.equal("a refusing sink", select(2, http.request {
    url = site .. "/big", sink = function() return nil, "enough" end,
  }), "enough")
  local generic = http.parseRequest(site .. "/generic", "body")
  check.equal("parseRequest", http.request(generic), 1)
  check.equal("its target", table.concat(generic.target), "POST /generic 4 body")

  ---------------------------------------------------------------- create
  local made, asked = {}, nil
  local function create(what)
    asked = what.url
    local sock = copas.wrap(socket.tcp())
    made[#made + 1] = sock
    return sock
  end
  check.equal("create", select(2, http.request {url = site .. "/c", create = create}), 200)
  check.ok("is called with the request", #made == 1 and asked == site .. "/c", asked)
  local plain = http.getcreatefunc()
  check.equal("getcreatefunc", select(2, http.request {
    url = site .. "/c",
    create = function(what)
      made[#made + 1] = plain(what)
      return made[#made]
    end,
  }), 200)
  check.ok("returns a wrapped socket", #made == 2 and tostring(made[2]):find "copas wrapped")
  check.equal("create that fails", select(2, http.request {
    url = site .. "/c", create = function() return nil, "no socket" end,
  }), "no socket")

  ---------------------------------------------------------------- low level
  local try = socket.protect(function()
    local connection = http.open {host = "localhost", port = port}
    connection:sendrequestline("GET", "/low")
    connection:sendheaders {host = "here"}
    local number = connection:receivestatusline()
    connection:receivebody(connection:receiveheaders())
    connection:close()
    return number
  end)
  check.equal("open", try(), 200)

  ---------------------------------------------------------------- failures
  local function failure(what, location, expected)
    local nothing, err = http.request(location)
    check.ok(what, nothing == nil and err == expected, err, "instead of", expected)
  end
  failure("refused", "http://localhost:" .. check.freePort(), "connection refused")
  failure("cut", site .. "/cut", "closed")
  failure("no answer", site .. "/bye", "closed")
  failure("no fields", site .. "/fields", "malformed reponse headers")
  failure("no size", site .. "/size", "invalid chunk size")
  failure("unknown scheme", "gopher://localhost/", "unknown scheme 'gopher'")
  failure("no host", "http:///x", "invalid host 'nil'")
  local nothing, err = http.request "http://no.such.name.invalid/"
  check.ok("no such name", nothing == nil and #err > 0, err)
  check.ok("neither URL nor table", select(2, pcall(http.request)):find "string or table expected, got nil")

  ---------------------------------------------------------------- proxies
  local through = web.serve(function(c, request)
    web.text(c, request.uri .. " " .. request.headers.host .. " " .. (request.headers["proxy-authorization"] or ""))
  end)
  local answer = http.parseRequest "http://far.invalid/away"
  answer.proxy = "http://u:p@localhost:" .. through
  check.equal("proxy", http.request(answer), 1)
  check.equal("is asked for all of it", table.concat(answer.target), "http://far.invalid:80/away far.invalid Basic dTpw")
  http.PROXY = "http://localhost:" .. through
  check.equal("PROXY", http.request "http://far.invalid/all", "http://far.invalid:80/all far.invalid ")
  http.PROXY = nil
  check.equal("only of copas.http", require "socket.http".PROXY, nil)
  http.USERAGENT, http.PORT = "tester", port
  local agent
  check.equal("PORT", http.request "http://localhost/big", big)
  http.PORT = 80
  local observer = web.serve(function(c, request)
    agent = request.headers["user-agent"]
    web.text(c, "x")
  end)
  http.request("http://localhost:" .. observer)
  check.equal("USERAGENT", agent, "tester")

  ---------------------------------------------------------------- many at once
  local done, right = 0, 0
  slow.most = 0
  for i = 1, 50 do
    copas.addthread(function()
      local text = http.request(site .. (i % 2 == 0 and "/slow" or "/big"))
      if text == (i % 2 == 0 and "slow" or big) then right = right + 1 end
      done = done + 1
    end)
  end
  while done < 50 do copas.pause(0.005) end
  check.equal("many requests", right, 50)
  check.ok("at the same time", slow.most > 5, slow.most)
  local before = check.descriptors()
  for _ = 1, 20 do http.request(site .. "/cut") end
  check.await(function() return check.descriptors() <= before end)
  check.equal("failures leave nothing open", check.descriptors(), before)

  ---------------------------------------------------------------- what ends a request
  local ended
  local watching = web.listen(function(c)
    c:send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" .. ("half"):rep(12500))
    local _, why = c:receive "*a"
    ended = why ~= "timeout"
  end)
  local function waitforend()
    local deadline = socket.gettime() + 90
    while ended == nil and socket.gettime() < deadline do copas.pause(0.001) end
    return ended
  end
  local thread = copas.addthread(http.request, "http://localhost:" .. watching)
  copas.pause(0.02)
  copas.removethread(thread)
  check.ok("the end of its thread closes the connection", waitforend())
  ended = nil
  local good, why = pcall(http.request, {
    url = "http://localhost:" .. watching, sink = function() error("sunk", 0) end,
  })
  check.ok("an error in a sink is the program's", not good and why == "sunk", why)
  check.ok("and closes the connection", waitforend())
  web.stop()
end)
