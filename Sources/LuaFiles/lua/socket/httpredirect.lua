-- socket.httpredirect: which answers lead to another request, and to which. For socket.httpclient;
-- not part of LuaSocket's interface.

local url = require "socket.url"
local wire = require "socket.wire"
local proxies = require "socket.httpproxy"

local redirect = {}

local MAX_REDIRECTS = 5

local CODES = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

local function set(...)
  local names = {}
  for _, name in ipairs { ... } do names[name] = true end
  return names
end

-- Fields that no other host than the one they were made for may see.
local PRIVATE = set("authorization", "cookie", "cookie2", "host", "www-authenticate")

-- A field for the proxy alone.
local FOR_PROXY = "proxy-authorization"

-- Fields that say something about a body.
local OF_BODY = set("content-length", "content-type", "content-encoding", "content-language",
  "content-location", "content-md5", "content-range", "digest", "expect", "trailer",
  "transfer-encoding")

local function percent(char)
  return ("%%%02X"):format(char:byte())
end

local function isplain(method)
  return not method or method == "GET" or method == "HEAD"
end

-- The method of the next request, and whether it has a body like this one. By default only requests
-- without a body are followed, by GET or HEAD. With `redirect = true` all are; what browsers turn
-- into GET becomes GET.
local function nextmethod(plan, code)
  local method = plan.method
  if plan.redirect ~= true and plan.redirect ~= "all" then
    return isplain(method) and not plan.source and (method or "GET") or nil, false
  end
  if code == 303 then return method == "HEAD" and "HEAD" or "GET", false end
  if method == "POST" and (code == 301 or code == 302) then return "GET", false end
  return method or "GET", plan.source ~= nil
end

-- Whether one more redirection is allowed.
local function mayfollow(plan, hops)
  local limit = plan.maxredirects
  if limit == nil then limit = MAX_REDIRECTS end
  return limit == false or hops < tonumber(limit)
end

-- The URL that an answer leads to. A reference is relative to what was asked for. The fragment of
-- that is kept unless the location has its own.
local function locate(plan, fields)
  local location = wire.trim(fields["location"] or ""):gsub("[%c ]", percent)
  if location == "" then return nil end
  local base = {
    scheme = plan.scheme, host = plan.host, port = plan.port,
    path = plan.path, params = plan.params, query = plan.query,
  }
  local target = url.parse(url.absolute(base, location)) --[[@as table]]
  target.fragment = target.fragment or plan.fragment
  return target
end

local function sameorigin(client, plan, target)
  local port = target.port ~= "" and target.port or client.port(target.scheme)
  return plan.scheme == target.scheme and plan.host:lower() == (target.host or ""):lower()
    and tostring(plan.port) == tostring(port)
end

-- The program's fields without those that the next request must not have.
local function fieldsfor(request, dropped)
  local kept = {}
  for name, value in pairs(request.headers or kept) do
    if not dropped(tostring(name):lower()) then kept[name] = value end
  end
  return kept
end

-- The request for `target`. User and password stay with the host that they are for.
local function following(client, request, plan, target, method, hasbody)
  local isours = sameorigin(client, plan, target)
  local withuser = isours and not target.user
  local losesbody = not hasbody and (plan.source or method ~= (plan.method or "GET"))
  local new = {
    url = url.build(target),
    method = method,
    user = withuser and plan.user or nil,
    password = withuser and plan.password or nil,
    newsource = hasbody and plan.newsource or nil,
  }
  for _, name in ipairs {
    "sink", "step", "proxy", "no_proxy", "maxredirects", "redirect", "limits", "continue",
    "keepalive", "pool",
  } do
    new[name] = request[name]
  end
  client.inherit(new, request, plan.scheme == target.scheme)
  local isproxied = plan.proxyparts and proxies.choose({
    scheme = target.scheme, host = target.host or "", port = target.port,
    proxy = request.proxy, no_proxy = request.no_proxy,
  }, client.settings)
  new.headers = fieldsfor(request, function(name)
    if name == FOR_PROXY then return not isours and not isproxied end
    return (not isours and PRIVATE[name]) or (losesbody and OF_BODY[name])
  end)
  return new
end

---The request that an answer leads to; nil if the answer is the result. From https to http it may
---be an error.
---@param client socket.http.client
---@param request socket.http.request
---@param plan table
---@param code integer
---@param fields table<string, string>
---@param hops integer how many redirections there were
---@return socket.http.request?
---@return string? err
function redirect.next(client, request, plan, code, fields, hops)
  if plan.redirect == false or not CODES[code] or not mayfollow(plan, hops) then return nil end
  local method, hasbody = nextmethod(plan, code)
  if not method or (hasbody and not plan.newsource) then return nil end
  local target = locate(plan, fields)
  local scheme = target and target.scheme and target.scheme:lower()
  if not client.port(scheme) then return nil end
  target.scheme = scheme
  if plan.scheme == "https" and scheme ~= "https" then
    local allowed, err = client.leavehttps(plan)
    if not allowed then return nil, err end
  end
  return following(client, request, plan, target, method, hasbody)
end

---The URL of a plan, for a program to see: without user and password.
---@param client socket.http.client
---@param plan table
---@return string
function redirect.reached(client, plan)
  local port = plan.port
  if tostring(port) == tostring(client.port(plan.scheme)) then port = nil end
  return url.build {
    scheme = plan.scheme, host = plan.host, port = port,
    path = plan.path, params = plan.params, query = plan.query, fragment = plan.fragment,
  }
end

return redirect
