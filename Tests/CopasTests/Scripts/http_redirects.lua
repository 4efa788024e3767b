-- oks: 34
-- copas.http: where redirections lead, and where not; with TLS where LuaSec is.
require "copas"
local http = require "copas.http"
local check = require "check"
local web = require "web"

http.SSLVERIFY = "none"

local serverside, folder = web.certificate "localhost"

local seen = {} -- what came to the servers
local plain, secure

-- One site on two ports: `/to/<scheme>/<path>` leads to the path with the scheme.
local function answer(name)
  return function(c, request)
    seen[#seen + 1] = {at = name, uri = request.uri, headers = request.headers, method = request.method}
    local code = tonumber(request.uri:match "^/code/(%d+)$")
    if code then return web.redirect(c, "/end", code) end
    local hops = tonumber(request.uri:match "^/hops/(%d+)$")
    if hops and hops > 0 then return web.redirect(c, "/hops/" .. hops - 1) end
    local scheme, rest = request.uri:match "^/to/(%w+)(/.*)$"
    if scheme then
      return web.redirect(c, ("%s://localhost:%d%s"):format(scheme, scheme == "https" and secure or plain, rest))
    end
    if request.uri == "/circle" then return web.redirect(c, "/circle") end
    if request.uri == "/nowhere" then return web.redirect(c, "gopher://localhost/") end
    web.text(c, name .. " " .. request.uri)
  end
end
plain = web.serve(answer "http")
secure = web.serve(answer "https", serverside)
local httpsite, httpssite = "http://localhost:" .. plain, "https://localhost:" .. secure

local function last() return seen[#seen] end

check.run(function()
  ---------------------------------------------------------------- one scheme
  local body, code, fields = http.request(httpsite .. "/hops/3")
  check.ok("followed", body == "http /hops/0" and code == 200, body, code)
  check.equal("the last location", fields.location, "/hops/0")
  for _, number in ipairs {301, 302, 303, 307} do
    check.equal("code " .. number, http.request(httpsite .. "/code/" .. number), "http /end")
  end
  check.equal("five redirections", http.request(httpsite .. "/hops/5"), "http /hops/0")
  check.equal("not six", select(2, http.request(httpsite .. "/hops/6")), 302)
  local before = #seen
  check.equal("a circle", select(2, http.request(httpsite .. "/circle")), 302)
  check.equal("ends", #seen - before, 6)
  check.equal("maxredirects", select(2, http.request {url = httpsite .. "/hops/1", maxredirects = 0}), 302)
  check.equal("more", select(2, http.request {url = httpsite .. "/hops/9", maxredirects = 9}), 200)
  check.equal("no limit", select(2, http.request {url = httpsite .. "/hops/30", maxredirects = false}), 200)
  check.equal("redirect = false", select(2, http.request {url = httpsite .. "/hops/1", redirect = false}), 302)
  check.equal("POST", select(2, http.request(httpsite .. "/hops/1", "x")), 302)
  check.equal("unknown scheme", select(2, http.request(httpsite .. "/nowhere")), 302)

  ---------------------------------------------------------------- https
  check.equal("https", http.request(httpssite .. "/x"), "https /x")
  check.equal("https, post", select(2, http.request(httpssite .. "/x", "a=b")), 200)
  check.equal("https to https", http.request(httpssite .. "/hops/2"), "https /hops/0")
  check.equal("http to https", http.request(httpsite .. "/to/https/x"), "https /x")
  check.equal("http to https to http", http.request(httpsite .. "/to/http/to/http/x"), "http /x")
  local refusal = "Unallowed insecure redirect https to http"
  local nothing, err = http.request(httpssite .. "/to/http/x")
  check.ok("https to http", nothing == nil and err == refusal, err)
  check.equal("after http", select(2, http.request(httpsite .. "/to/https/to/http/x")), refusal)
  before = #seen
  check.equal("redirect = true", select(2, http.request {url = httpssite .. "/to/http/x", redirect = true}), refusal)
  check.equal("is not asked", #seen, before + 1)
  local chain = {url = httpssite .. "/to/http/to/https/to/http/x", redirect = "all"}
  check.equal("redirect = all", select(2, http.request(chain)), 200)
  check.equal("all the way", last().at .. last().uri, "http/x")
  check.equal("refused, and closed", select(2, http.request {
    url = httpssite .. "/to/http/x", create = function(request)
      local create = http.getcreatefunc(request)
      local sock = create(request)
      local close = sock.close
      sock.close = function(...)
        before = "closed"
        return close(...)
      end
      return sock
    end,
  }), refusal)
  check.equal("at once", before, "closed")

  ---------------------------------------------------------------- what goes along
  local created = 0
  http.request {url = httpsite .. "/to/https/x", create = function(request)
    created = created + 1
    return http.getcreatefunc()(request)
  end}
  check.equal("create", created, 2)
  local fieldsgiven = {authorization = "secret", cookie = "secret", ["x-own"] = "mine"}
  http.request {url = httpsite .. "/hops/1", headers = fieldsgiven}
  check.ok("fields", last().headers.cookie == "secret" and last().headers["x-own"] == "mine")
  http.request {url = httpsite .. "/to/https/x", headers = fieldsgiven}
  check.ok("but no secrets to others", last().headers.cookie == nil and last().headers.authorization == nil
    and last().headers["x-own"] == "mine" and last().headers.host == "localhost:" .. secure)
  local slow = web.listen(function(c) c:receive "*a" end)
  local toslow = web.serve(function(c) web.redirect(c, ("http://localhost:%d/"):format(slow)) end)
  check.equal("timeouts", select(2, http.request {url = "http://localhost:" .. toslow, timeout = 0.05}), "timeout")
  local verified = {wrap = {verify = "peer", cafile = serverside.certificate}}
  check.equal("sslparams", select(2, http.request {url = httpsite .. "/to/https/x", sslparams = verified}), 200)
  web.stop()
end)
os.execute(("rm -r '%s'"):format(folder))
