-- socket.http: HTTP/1.1 over sockets that block; https with the help of LuaSec.

local socket = require "socket"
local httpclient = require "socket.httpclient"
local wire = require "socket.wire"

local http = {
  TIMEOUT = 60,                  -- seconds for the connection and for every wait
  USERAGENT = socket._VERSION,   -- what the server is told
  PROXY = nil --[[@as string?]], -- the URL of a proxy for all requests
}

---------------------------------------------------------------- schemes

-- What `create` is for https: that of LuaSec.
local function securecreate(request)
  local found, https = pcall(require, "ssl.https")
  if not found then socket.try(nil, "https needs LuaSec: " .. tostring(https):match("[^\n]*")) end
  return https.tcp(request)
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
  local sock = socket.try(wire.connect(host, port, http.TIMEOUT, create))
  return httpclient.connection(sock, http.TIMEOUT)
end

http.genericform = httpclient.genericform

local client = { settings = http }

function client.port(scheme)
  return http.schemes[scheme] and http.schemes[scheme].port
end

function client.open(plan)
  local create = plan.create or http.schemes[plan.scheme].create(plan)
  return http.open(plan.address.host, plan.address.port, create)
end

-- A redirection never leads from https to http.
function client.leavehttps() return false end

function client.inherit(following, request, samescheme)
  following.create = samescheme and request.create or nil
end

---Requests a URL. With a string, the first result is the body; with a table it is 1 and the
---body goes to the sink.
http.request = httpclient.requester(client)

socket.http = http
return http
