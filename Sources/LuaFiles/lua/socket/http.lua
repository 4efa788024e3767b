-- socket.http: HTTP/1.1 over sockets that block; https with the help of LuaSec.

local socket = require "socket"
local ltn12 = require "ltn12"
local certificates = require "socket.certificates"
local httpclient = require "socket.httpclient"
local wire = require "socket.wire"

local http = {
  TIMEOUT = 60,                     -- seconds for the connection and for every wait
  USERAGENT = socket._VERSION,      -- what the server is told
  PROXY = nil --[[@as string?]],    -- the URL of a proxy for all requests
  NO_PROXY = nil --[[@as string?]], -- hosts that are asked without it
  LIMITS = nil --[[@as table?]],    -- what a server may send before the body
  KEEPALIVE = nil --[[@as boolean?]], -- true to keep connections for further requests
  SSLVERIFY = nil --[[@as any]],    -- "none" to trust any https server
}

---------------------------------------------------------------- schemes

-- What requests say about TLS, which redirections keep.
local SECURE_FIELDS = {
  "verify", "verify_host", "cafile", "capath", "protocol", "options", "key", "certificate", "ciphers",
}

local function needluasec(name)
  local found, module = pcall(require, name)
  if found then return module end
  socket.try(nil, "https needs LuaSec: " .. tostring(module):match("[^\n]*"))
end

-- What LuaSec is told: the fields of the request, and that it checks the server unless the request
-- says something else. The second result is true if the request names an authority.
local function secureparameters(request)
  local parameters = {}
  for name, value in pairs(request) do parameters[name] = value end
  if parameters.verify_host == nil then parameters.verify_host = request.host end
  if parameters.verify == nil then parameters.verify = certificates.default(http.SSLVERIFY) end
  return parameters, certificates.addsystem(parameters)
end

-- An error of a handshake, and what can be done when the program did not ask for the check that
-- failed.
local function handshakeerror(err, request)
  local ischeck = tostring(err):find("certificate", 1, true) and request.verify == nil
  return ischeck and err .. certificates.HINT or err
end

-- What `create` is for https: that of LuaSec, whose sockets check names, too.
local function securecreate(request)
  local https = needluasec("ssl.https")
  local parameters, ownca = secureparameters(request)
  local create = https.tcp(parameters)
  return function()
    local sock, err = create()
    if type(sock) ~= "table" then return sock, err end
    local connect = socket.protect(sock.connect)
    function sock:connect(host, port)
      local ok, why = connect(self, host, port)
      local secure = self.sock
      if ok and secure and secure.getpeercertificate then
        ok, why = certificates.check(secure, parameters, host, ownca)
      end
      if ok then return 1 end
      if secure then secure:close() end
      function self.close() return 1 end
      return nil, handshakeerror(why, request)
    end
    return sock
  end
end

---The schemes a request may have: their ports, and functions that, called with the request,
---return the function that creates the socket.
---@type table<string, { port: integer, create: fun(request: table): (fun(): table?, string?) }>
http.schemes = {
  http = { port = 80, create = function() return socket.tcp end },
  https = { port = 443, create = securecreate },
}

---------------------------------------------------------------- streams

---Receives chunks and takes their coding off.
socket.sourcet["http-chunked"] = function(sock)
  return httpclient.chunksource(sock, http.TIMEOUT)
end

---Sends chunks. The socket stays open.
socket.sinkt["http-chunked"] = httpclient.chunksink

---------------------------------------------------------------- the interface

---Connects to a server.
---@param host string
---@param port? integer|string
---@param create? fun(): table?, string? called instead of `socket.tcp`
---@return socket.http.connection
function http.open(host, port, create)
  port = port or http.schemes.http.port
  local sock = socket.try(wire.connect(host, port, http.TIMEOUT, create or socket.tcp))
  return httpclient.connection(sock, http.TIMEOUT)
end

-- A connection to a server through a proxy that passes on what it does not understand.
local function opentunnel(plan)
  local ssl = needluasec("ssl")
  local connection = http.open(plan.address.host, plan.address.port)
  httpclient.tunnel(connection, plan)
  local parameters, ownca = secureparameters(plan)
  parameters.mode, parameters.protocol = "client", parameters.protocol or "any"
  parameters.options = parameters.options or { "all", "no_sslv2", "no_sslv3" }
  local secure = connection.try(ssl.wrap(connection.c, parameters))
  connection.c = secure
  secure:sni(plan.host)
  secure:settimeout(http.TIMEOUT)
  local ok, err = secure:dohandshake()
  if ok then ok, err = certificates.check(secure, parameters, plan.host, ownca) end
  connection.try(ok, handshakeerror(err, plan))
  return connection
end

local client = { settings = http, socket = socket, ltn12 = ltn12 }

function client.port(scheme)
  return http.schemes[scheme] and http.schemes[scheme].port
end

function client.open(plan)
  if plan.istunneled then return opentunnel(plan) end
  local create = plan.create or http.schemes[plan.scheme].create(plan)
  return http.open(plan.address.host, plan.address.port, create)
end

function client.settimeouts(connection)
  connection.timeout = http.TIMEOUT
  connection.try(connection.c:settimeout(http.TIMEOUT))
end

function client.securekey(plan)
  local key = { tostring(http.SSLVERIFY) }
  for _, name in ipairs(SECURE_FIELDS) do key[name] = plan[name] end
  return plan.scheme == "https" and key or false
end

-- A redirection never leads from https to http.
function client.leavehttps() return false end

function client.inherit(following, request, samescheme)
  following.create = samescheme and request.create or nil
  for _, name in ipairs(SECURE_FIELDS) do following[name] = request[name] end
end

---Requests a URL. With a string, the first result is the body; with a table it is 1 and the
---body goes to the sink.
http.request, http.genericform = httpclient.requester(client)

socket.http = http
return http
