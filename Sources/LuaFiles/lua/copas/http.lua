-- copas.http: HTTP/1.1 for Copas' threads; https with the help of LuaSec.

local copas = require "copas"
local socket = require "socket"
local ltn12 = require "ltn12"
local url = require "socket.url"
local httpclient = require "socket.httpclient"
local layer = require "copas.layer"
local certificates = require "socket.certificates"

local http = {
  TIMEOUT = 60,                -- seconds for connecting, for sending and for receiving
  PORT = 80,
  USERAGENT = socket._VERSION, -- what the server is told
  PROXY = nil --[[@as string?]], -- the URL of a proxy for all requests
  NO_PROXY = nil --[[@as string?]], -- hosts that are asked without it
  KEEPALIVE = nil --[[@as boolean?]], -- true to keep connections for further requests
  LIMITS = nil --[[@as table?]],  -- what a server may send before the body

  -- What https has where a request says nothing about it.
  SSLPORT = 443,
  SSLPROTOCOL = "tlsv1_2",
  SSLOPTIONS = "all",
  SSLVERIFY = "peer",
  SSLSNISTRICT = false,
}

---------------------------------------------------------------- https

-- The parameters of LuaSec: the program's, and ours where it says nothing.
local function wrapparameters(given, request, host)
  if type(given) ~= "table" then return given end -- a context
  local parameters = layer.with(given, {
    protocol = http.SSLPROTOCOL, options = http.SSLOPTIONS,
    verify = certificates.default(http.SSLVERIFY), verify_host = request.verify_host,
  })
  if parameters.verify_host == nil then parameters.verify_host = host end
  parameters.mode = "client"
  return parameters
end

-- What requests say about TLS in fields of their own, without `sslparams`.
local OWN_FIELDS = {
  "protocol", "options", "verify", "verify_host", "cafile", "capath", "key", "certificate", "ciphers",
}

local function ownparameters(request)
  local own = {}
  for _, name in ipairs(OWN_FIELDS) do own[name] = request[name] end
  return own
end

-- Whether the request itself says how the server is checked.
local function saysverify(request)
  local given = request.sslparams
  if type(given) ~= "table" then return given ~= nil or request.verify ~= nil end
  local wrap = given.wrap or given
  return type(wrap) ~= "table" or wrap.verify ~= nil or (given == wrap and request.verify ~= nil)
end

-- The name tells the server which certificate to show. An address is not a name, and is not sent.
local function sniparameters(given, host)
  if given and given.names then return given end
  if host:find(":", 1, true) or host:match("^[%d.]+$") then return nil end
  local strict = http.SSLSNISTRICT
  if given and given.strict ~= nil then strict = given.strict end
  return { names = host, strict = strict }
end

-- What `copas.wrap` is told. Requests have `sslparams`, or, as in earlier versions, the fields
-- `protocol`, `options` and `verify`.
local function sslparameters(request, host)
  local given = request.sslparams or {}
  if type(given) ~= "table" or given.mode or given.protocol then given = { wrap = given } end
  local wrap = given.wrap or ownparameters(request)
  return { wrap = wrapparameters(wrap, request, host), sni = sniparameters(given.sni, host) }
end

local function needluasec()
  local found, err = pcall(require, "ssl")
  if not found then socket.try(nil, "https needs LuaSec: " .. tostring(err):match("[^\n]*")) end
end

---------------------------------------------------------------- connections

---A function that makes the socket of a request, by which it is called with the request.
---@param params? table what requests may say about https: `sslparams`, `protocol`, `options`, `verify`
---@return fun(request: table): table
function http.getcreatefunc(params)
  return function(request)
    local parsed = request.url and url.parse(request.url) or {}
    if (request.scheme or parsed.scheme) ~= "https" then return socket.try(layer.tcp()) end
    needluasec()
    request.port = request.port or parsed.port or http.SSLPORT
    local parameters = sslparameters(params or {}, request.host or parsed.host)
    return copas.wrap(socket.try(socket.tcp()), parameters)
  end
end

local PHASES = { connect = true, send = true, receive = true }

-- Refuses a misspelled phase, which would have no timeout.
local function checktimeout(timeout)
  if type(timeout) ~= "table" then return end
  for phase in pairs(timeout) do
    if not PHASES[phase] then
      local message = "'%s' is not a valid timeout option. Valid: 'connect', 'send', 'receive'"
      error(message:format(tostring(phase)), 0)
    end
  end
end

-- Sets the timeouts of a socket: one number, or one for each phase.
local function settimeouts(sock, timeout)
  if type(timeout) ~= "table" then return sock:settimeout(timeout) end
  return sock:settimeouts(
    timeout.connect or http.TIMEOUT, timeout.send or http.TIMEOUT, timeout.receive or http.TIMEOUT)
end

-- The error of a handshake, and what can be done when the program did not ask for the check that
-- failed.
local function handshakeerror(err, request)
  err = tostring(err):gsub("^[^\n]-:%d+: ", "")
  local ischeck = err:find("certificate", 1, true) and not saysverify(request) and not request.create
  return ischeck and err .. certificates.HINT or err
end

-- Connects. A handshake that fails is an error of Copas'; here it is a result.
local function connect(sock, request)
  local address = request.address or request
  local port = address.port or http.PORT
  if request.scheme ~= "https" or request.istunneled then return sock:connect(address.host, port) end
  local ok, connected, err = pcall(sock.connect, sock, address.host, port)
  if ok then return connected, err end
  return nil, handshakeerror(connected, request)
end

-- Asks the proxy for a connection to the server, and speaks TLS over it.
local function tunnel(connection, request)
  httpclient.tunnel(connection, request)
  local sock = copas.wrap(connection.c.socket, sslparameters(request, request.host))
  connection.c = sock
  local ok, connected, err = pcall(function()
    if sock.ssl_params.sni then sock:sni() end
    return sock:dohandshake(nil, request.host)
  end)
  if not ok then connected, err = nil, handshakeerror(connected, request) end
  connection.try(connected, err)
end

---Connects to the server of a request.
---@param request table
---@return socket.http.connection
function http.open(request)
  local create = request.create
    or request.istunneled and layer.tcp or http.getcreatefunc(request)
  local timeout = request.timeout or http.TIMEOUT
  local receiving = timeout
  if type(timeout) == "table" then receiving = timeout.receive or http.TIMEOUT end
  local connection = httpclient.connection(socket.try(create(request)), receiving)
  connection.try(settimeouts(connection.c, timeout))
  connection.try(connect(connection.c, request))
  if request.istunneled then tunnel(connection, request) end
  return connection
end

---------------------------------------------------------------- the interface

local client = { settings = http, socket = socket, ltn12 = ltn12 }

function client.port(scheme)
  if scheme == "http" then return http.PORT end
  if scheme == "https" then return http.SSLPORT end
end

client.open = http.open

function client.settimeouts(connection, plan)
  local timeout = plan.timeout or http.TIMEOUT
  connection.timeout = type(timeout) == "table" and (timeout.receive or http.TIMEOUT) or timeout
  connection.try(settimeouts(connection.c, timeout))
end

function client.securekey(plan)
  return plan.scheme == "https" and {
    sslparameters(plan, plan.host), tostring(os.getenv("MILONGA_TLS_VERIFY")),
  } or false
end

function client.leavehttps(plan)
  if plan.redirect == "all" then return true end
  return false, "Unallowed insecure redirect https to http"
end

function client.inherit(following, request)
  for _, name in ipairs {
    "create", "timeout", "redirect", "sslparams",
  } do
    following[name] = request[name]
  end
  for _, name in ipairs(OWN_FIELDS) do following[name] = request[name] end
end

local request

---The table form of a simple request.
request, http.parseRequest = httpclient.requester(client)

---Requests a URL. With a string, the first result is the body; with a table it is 1 and the
---body goes to the sink.
---@param what string|copas.http.request
---@param body? string
---@return string|1|nil
---@return integer|string code or the error
---@return table<string, string>? headers
---@return string? status
function http.request(what, body)
  if type(what) == "table" then checktimeout(what.timeout) end
  return request(what, body)
end

copas.http = http
return http
