-- socket.httpplan: what is to be done for a request: where to connect, what to ask for, with which
-- header fields. For socket.httpclient; not part of LuaSocket's interface.

local socket = require "socket"
local url = require "socket.url"
local mime = require "mime"
local wire = require "socket.wire"
local proxies = require "socket.httpproxy"
local Pool = require "socket.httppool"

-- What a URL or request without these parts has.
local DEFAULTS = { scheme = "http", path = "/" }

local function basic(user, password)
  return "Basic " .. (mime.b64(user .. ":" .. password))
end

-- Takes the percent-encoding off what stands in a URL; what a program gives as a field has none.
local function decodeuserinfo(parts)
  parts.user = parts.user and url.unescape(parts.user)
  parts.password = parts.password and url.unescape(parts.password)
  return parts
end

-- The host as it is written in URLs and in the host field. The zone of an address is for this
-- machine alone.
local function hostfield(plan, defaultport)
  local host = plan.host
  if host:find(":", 1, true) then host = "[" .. host:gsub("%%.*$", "") .. "]" end
  if tostring(plan.port) ~= tostring(defaultport) then host = host .. ":" .. plan.port end
  return host
end

-- What to ask the server for: from a proxy the whole URL, but for user and password, which the
-- field `authorization` has; else the part after the host. Servers get no fragments.
local function requesturi(plan, isproxied)
  return url.build {
    scheme = isproxied and plan.scheme or nil,
    host = isproxied and plan.host or nil,
    port = isproxied and plan.port or nil,
    path = plan.path, params = plan.params, query = plan.query,
  }
end

-- The program's header fields. A length is a number without a fraction.
local function ownfields(request)
  local fields = socket.try(wire.lowercase(request.headers))
  local length = fields["content-length"]
  if math.type(length) == "float" then
    fields["content-length"] = math.tointeger(length) or length
  end
  return fields
end

-- The header fields: those the protocol needs, overridden by the program's.
local function requestfields(client, request, plan)
  local fields = {
    ["user-agent"] = client.settings.USERAGENT,
    ["host"] = hostfield(plan, client.port(plan.scheme)),
    ["connection"] = plan.poolkey and "keep-alive, TE" or "close, TE",
    ["te"] = "trailers",
  }
  if plan.user and plan.password then fields["authorization"] = basic(plan.user, plan.password) end
  for name, value in pairs(ownfields(request)) do fields[name] = value end
  local proxy = plan.proxyparts
  if proxy and proxy.user and proxy.password then
    fields["proxy-authorization"] = fields["proxy-authorization"] or basic(proxy.user, proxy.password)
  end
  if plan.source and not fields["content-length"] then
    fields["transfer-encoding"] = fields["transfer-encoding"] or "chunked"
  end
  return fields
end

-- The parts of the proxy, if there is one for this request.
local function proxyparts(client, plan)
  local text = proxies.choose(plan, client.settings)
  if not text then return nil end
  local proxy = proxies.parse(text)
  if not proxy then
    socket.try(nil, ("invalid proxy '%s'"):format(wire.show(tostring(text))))
  end
  return decodeuserinfo(proxy)
end

-- Requests with the same key can use the same connection.
local function poolkey(client, plan)
  local proxy = plan.proxyparts
  return Pool.describe {
    plan.scheme, plan.host:lower(), tostring(plan.port), tostring(plan.pool), client.securekey(plan),
    proxy and { proxy.host, tostring(proxy.port), proxy.user or false, proxy.password or false } or false,
  }
end

local function checkmethod(method)
  if method == nil or (type(method) == "string" and method:find("^[^%c ]+$")) then return end
  if type(method) == "string" and method:find("[\r\n%z]") then return end -- see sendrequestline
  socket.try(nil, ("invalid method '%s'"):format(wire.show(tostring(method))))
end

---All that a request needs, in one table.
---@param client socket.http.client
---@param request socket.http.request
---@return table
return function(client, request)
  local text = request.url ~= "" and request.url or "//"
  local plan = decodeuserinfo(url.parse(text, DEFAULTS) --[[@as table]])
  for field, value in pairs(request) do plan[field] = value end
  plan.scheme = plan.scheme and plan.scheme:lower()
  local port = client.port(plan.scheme)
  if not port then
    socket.try(nil, ("unknown scheme '%s'"):format(wire.show(tostring(plan.scheme))))
  end
  if not plan.host or plan.host == "" then
    socket.try(nil, ("invalid host '%s'"):format(tostring(plan.host)))
  end
  checkmethod(plan.method)
  if plan.newsource and not plan.source then plan.source = plan.newsource() end
  if not plan.port or plan.port == "" then plan.port = port end
  plan.proxyparts = proxyparts(client, plan)
  -- A tunnel leads through the proxy. Sockets of the program's own make none.
  plan.istunneled = plan.proxyparts and plan.scheme == "https" and not plan.create
  local isproxied = plan.proxyparts and not plan.istunneled
  plan.uri = plan.uri or requesturi(plan, isproxied)
  plan.poolkey = Pool.iswanted(plan, client.settings) and poolkey(client, plan) or nil
  plan.headers = requestfields(client, request, plan)
  plan.address = plan.proxyparts or plan
  if plan.istunneled then
    plan.tunnelfields = {
      host = hostfield(plan, nil), ["user-agent"] = client.settings.USERAGENT,
      ["proxy-authorization"] = plan.headers["proxy-authorization"],
    }
    plan.headers["proxy-authorization"] = nil
  end
  -- What may not be sent is an error before there is a connection.
  plan.head = socket.try(wire.format(plan.headers))
  return plan
end
