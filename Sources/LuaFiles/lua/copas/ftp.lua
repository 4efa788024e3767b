-- copas.ftp: socket.ftp for Copas' threads.

local copas = require "copas"
local socket = require "socket"
local ftp = require "socket.ftp"
local ltn12 = require "ltn12"
local layer = require "copas.layer"
local monotonic = require "socket.monotonic"

local module = layer.over(ftp, { "TIMEOUT", "PORT", "USER", "PASSWORD" })

---------------------------------------------------------------- sockets

-- How often a thread looks whether the server has connected to it.
local ACCEPT_PAUSE = 0.01

local sockets = { create = layer.tcp }

-- Copas waits for listening sockets only in servers, and a server starts a thread for each
-- connection. A session needs the connection in its own thread.
function sockets.accept(server, timeout)
  local deadline = monotonic() + (timeout or math.huge)
  server:settimeout(0)
  while true do
    local sock, err = server:accept()
    if sock then return copas.wrap(sock) end
    if err ~= "timeout" or monotonic() >= deadline then return nil, err end
    copas.pause(ACCEPT_PAUSE)
  end
end

function sockets.arrived(connection)
  local control = connection:getcontrol()
  control = control.socket or control -- `select` takes no wrapped sockets
  return socket.select({ control }, nil, 0)[control] ~= nil
end

-- A request that does not stop other threads.
local function prepared(request)
  return layer.with(request, { create = layer.tcp, sockets = sockets })
end

---------------------------------------------------------------- the interface

---The table form of a simple request: to upload `content`, or without it to download to `target`.
---@param url string
---@param content? string
---@return socket.ftp.transfer?
---@return string? err
function module.parseRequest(url, content)
  local request, err = ftp.genericform(url)
  if not request then return nil, err end
  if content then
    request.source = ltn12.source.string(content)
  else
    request.sink, request.target = ltn12.sink.table()
  end
  return request
end

---Uploads a file: a URL and the contents, or a table.
---@param transfer string|socket.ftp.transfer
---@param content? string
---@return integer? sent
---@return string? err
function module.put(transfer, content)
  if type(transfer) ~= "string" then return ftp.put(prepared(transfer)) end
  local request, err = module.parseRequest(transfer, content or "")
  if not request then return nil, err end
  return ftp.put(prepared(request))
end

---Downloads a file: a URL, and the first result is the contents; or a table.
---@param transfer string|socket.ftp.transfer
---@return string|integer|nil
---@return string? err
function module.get(transfer)
  if type(transfer) ~= "string" then return ftp.get(prepared(transfer)) end
  local request, err = module.parseRequest(transfer)
  if not request then return nil, err end
  local received
  received, err = ftp.get(prepared(request))
  if not received then return nil, err end
  return table.concat(request.target)
end

---Sends one command, or several.
---@param request string|socket.ftp.transfer
---@return integer?
---@return string? err
function module.command(request)
  if type(request) == "string" then request = { url = request } end
  return ftp.command(prepared(request))
end

copas.ftp = module
return module
