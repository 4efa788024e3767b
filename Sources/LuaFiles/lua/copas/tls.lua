-- TLS for Copas: LuaSec speaks it, Copas waits for what it wants.
--
-- The functions but `dohandshake` are methods of wrapped sockets, or stand behind `copas.wrap` and
-- `copas.handler` when these get parameters.

local copas, native = ...
local certificates = require "socket.certificates"
local tls = {}

-- The hosts that wrapped sockets were connected to.
local hosts = setmetatable({}, {__mode = "k"})

-- Parameters come as {wrap = ..., sni = ...}, or as what is for LuaSec's `wrap` alone.
local function normalized(parameters)
  local kind = type(parameters)
  if kind == "table" and not (parameters.mode or parameters.protocol) then
    return {wrap = parameters.wrap or false, sni = parameters.sni or false}
  elseif kind == "table" or kind == "userdata" then
    return {wrap = parameters, sni = false}
  end
  error("ssl parameters; did not expect type " .. tostring(parameters), 3)
end

local function isSecure(socket) return tostring(socket):find "^SSL" ~= nil end

local function secured(socket, context)
  if isSecure(socket) then return socket end
  if not context then
    error("cannot wrap socket into a secure socket (using 'ssl.wrap()') without parameters/context", 3)
  end
  local secure = assert(require "ssl".wrap(socket, context))
  secure:settimeout(0)
  native.replace(socket, secure)
  return secure
end

-- The parameters of a client that checks its server trust what the system trusts, unless they name
-- an authority. The second result is true if they do that.
local function completed(parameters)
  if type(parameters) ~= "table" or parameters.mode == "server" then return parameters, false end
  if not certificates.asksfor(parameters.verify) then return parameters, false end
  local copy = {}
  for name, value in pairs(parameters) do copy[name] = value end
  return copy, certificates.addsystem(copy)
end

-- The host that a client wants: the one that it names to the server, or was connected to. A server
-- does not ask who its clients are.
local function wantedhost(self, parameters)
  if type(parameters) ~= "table" or parameters.mode == "server" then return nil end
  local names = self.ssl_params and self.ssl_params.sni and self.ssl_params.sni.names
  return type(names) == "string" and names or hosts[self]
end

local timeouts = {timeout = true, wantread = true, wantwrite = true}

function tls.dohandshake(socket, context)
  local secure = secured(socket, (completed(context)))
  local ok, message = native.handshake(secure)
  if ok then return secure end
  if timeouts[message] then return nil, message end
  error("TLS/SSL handshake failed: " .. tostring(message), 2)
end

function tls.wrap(socket, parameters)
  parameters = normalized(parameters)
  local wrapped = copas.wrap(socket)
  wrapped.ssl_params = parameters
  return wrapped
end

function tls.handler(handler, parameters)
  parameters = normalized(parameters)
  return function(socket, ...)
    socket = copas.wrap(socket)
    socket.ssl_params = parameters
    if parameters.sni then socket:sni() end
    if parameters.wrap then
      local ok, message = socket:dohandshake()
      if not ok then error("TLS/SSL handshake failed: " .. message) end
    end
    return handler(socket, ...)
  end
end

function tls:connect(...)
  local ok, message = copas.connect(self.socket, ...)
  if not ok then return ok, message end
  local host, port = ...
  hosts[self] = port and host -- a path is no host
  if self.ssl_params.sni then self:sni() end
  if self.ssl_params.wrap then return self:dohandshake() end
  return ok, message
end

-- `host` is for sockets that `connect` has not connected to it.
function tls:shake(context, host)
  hosts[self] = hosts[self] or host
  context = context or self.ssl_params.wrap
  local secure, message = tls.dohandshake(self.socket, context)
  if not secure then return nil, message end
  self.socket = secure
  if type(context) ~= "table" then return self end
  local parameters, ownca = completed(context)
  local trusted, why = certificates.check(secure, parameters, wantedhost(self, context), ownca)
  if trusted then return self end
  secure:close()
  error("TLS/SSL handshake failed: " .. why, 2)
end

function tls:sni(names, strict)
  self.socket = secured(self.socket, (completed(self.ssl_params.wrap)))
  if names == nil then names, strict = self.ssl_params.sni.names, self.ssl_params.sni.strict end
  return self.socket:sni(names, strict)
end

for _, name in ipairs {"getalpn", "getsniname"} do
  tls[name] = function(self, ...)
    if not isSecure(self.socket) then return nil, "not a tls socket" end
    return self.socket[name](self.socket, ...)
  end
end

return tls
