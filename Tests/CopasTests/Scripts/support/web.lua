-- Small servers made with Copas itself, each connection in its thread.
local copas = require "copas"
local check = require "check"

local M = {}
local servers = {}

--- Serves connections until `M.stop`; the port. Handshakes that fail are not reported.
function M.listen(serve, sslparams)
  local server, port = check.listener()
  local handle = copas.handler(function(c)
    copas.seterrorhandler()
    c:settimeout(60)
    serve(c)
    c:close()
  end, sslparams)
  copas.addserver(server, function(c)
    copas.seterrorhandler(function() end)
    handle(c)
  end)
  servers[#servers + 1] = server
  return port
end

function M.stop()
  for _, server in ipairs(servers) do copas.removeserver(server) end
  servers = {}
end

local function receivehead(c, request)
  for line in function() return c:receive() end do
    if line == "" then return end
    local name, value = line:match "^(.-):%s*(.*)$"
    request.headers[name:lower()] = value
  end
end

local function receivechunks(c)
  local chunks = {}
  while true do
    local size = tonumber(c:receive(), 16)
    local chunk = size > 0 and c:receive(size)
    c:receive()
    if not chunk then return table.concat(chunks), #chunks end
    chunks[#chunks + 1] = chunk
  end
end

--- Serves HTTP: `answer(c, request)` for each request, whose fields are method, uri, headers, body
--- and the number of chunks the body came in.
function M.serve(answer, sslparams)
  return M.listen(function(c)
    local method, uri = (c:receive() or ""):match "^(%u+) (%S+) HTTP/1.1$"
    if not method then return end
    local request = {method = method, uri = uri, headers = {}, body = ""}
    receivehead(c, request)
    if request.headers["content-length"] then
      request.body = c:receive(tonumber(request.headers["content-length"]))
    elseif request.headers["transfer-encoding"] then
      request.body, request.chunks = receivechunks(c)
    end
    answer(c, request)
  end, sslparams)
end

function M.text(c, body, status)
  c:send(("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s"):format(status or "200 OK", #body, body))
end

function M.redirect(c, location, code)
  c:send(("HTTP/1.1 %d Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(code or 302, location))
end

--- Makes a key and a certificate for `name`, without a signer, as files in a folder that the caller
--- removes. Returns the parameters of a server, and the folder.
function M.certificate(name)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute(("mkdir '%s' && cd '%s' && openssl req -x509 -newkey ec -nodes -days 1 "
    .. "-pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=%s -keyout key -out certificate 2>errors"
  ):format(folder, folder, name)))
  local key, certificate = folder .. "/key", folder .. "/certificate"
  return {mode = "server", protocol = "any", key = key, certificate = certificate}, folder
end

return M
