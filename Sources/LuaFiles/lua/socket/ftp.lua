-- socket.ftp: the client side of FTP (RFC 959), with the extended commands of RFC 2428.
--
-- A session has a control connection, over which commands go, and for each transfer a data
-- connection: opened by us to where the server listens (passive, the default), or by the
-- server to where we listen (active).

local socket = require "socket"
local url = require "socket.url"
local ltn12 = require "ltn12"
local tp = require "socket.tp"
local wire = require "socket.wire"
local monotonic = require "socket.monotonic"

local ftp = {
  TIMEOUT = 60,                           -- seconds for connections and for every wait
  USER = "ftp",                           -- who an anonymous user is
  PASSWORD = "anonymous@anonymous.org",
}

local PORT = 21

---------------------------------------------------------------- sockets

---What a session does with sockets that have to wait in some way of their own, under a scheduler.
---@class socket.ftp.sockets
---@field create? fun(): table?, string? makes the socket of a data connection, not `socket.tcp`
---@field accept fun(server: table, timeout?: number): table?, string?
---@field arrived fun(connection: socket.tp.connection): boolean whether there is something to receive
local blocking = {}

function blocking.accept(server, timeout)
  local ok, err = server:settimeout(timeout)
  if not ok then return nil, err end
  return server:accept()
end

function blocking.arrived(connection)
  return socket.select({ connection }, nil, 0)[connection] ~= nil
end

---------------------------------------------------------------- sessions

---The methods throw what `socket.protect` catches. They return 1 unless a result is named.
---@class socket.ftp.session
---@field tp socket.tp.connection
---@field try fun(...): ...
---@field sockets socket.ftp.sockets
---@field data? table the data connection
---@field server? table where the server is to connect to (active)
---@field pasvt? { address: string, port: integer } where the server listens (passive)
local Session = {}
local meta = { __index = Session }

---Connects to a server.
---@param server string
---@param port? integer|string
---@param create? fun(): table?, string? called instead of `socket.tcp`, for the control connection
---@param sockets? socket.ftp.sockets
---@return socket.ftp.session
function ftp.open(server, port, create, sockets)
  local self = setmetatable({ sockets = sockets or blocking }, meta)
  self.tp = socket.try(tp.connect(server, port or PORT, ftp.TIMEOUT, create))
  self.try = socket.newtry(function() self:close() end)
  return self
end

-- Closes the data connection.
local function closedata(session)
  if session.data then session.data:close() end
  session.data = nil
end

-- Gives up what was agreed about the next data connection.
local function forget(session)
  if session.server then session.server:close() end
  session.server, session.pasvt = nil, nil
end

-- Sends a command and returns the code and text of the reply, which has to be an expected one.
local function ask(session, expected, command, argument)
  session.try(session.tp:command(command, argument))
  return session.try(session.tp:check(expected))
end

---Waits until the server is ready.
function Session:greet()
  local code = self.try(self.tp:check { "1..", "2.." })
  if code < 200 then self.try(self.tp:check("2..")) end
  return 1
end

---@param user? string
---@param password? string
function Session:login(user, password)
  local code = ask(self, { "2..", 331 }, "user", user or ftp.USER)
  if code == 331 then ask(self, "2..", "pass", password or ftp.PASSWORD) end
  return 1
end

---@param type "a"|"i"|string
function Session:type(type)
  ask(self, 200, "type", type)
  return 1
end

---@param dir? string
function Session:cwd(dir)
  ask(self, 250, "cwd", dir)
  return 1
end

---------------------------------------------------------------- passive

local function isport(port)
  return port and port >= 1 and port <= 65535
end

-- Both patterns take time in proportion to the reply, whatever the server sends (see wire.trim).

-- Six bytes as decimal numbers with something between them.
local PASV = "%f[%d](%d%d?%d?)" .. ("%D(%d%d?%d?)"):rep(5) .. "%f[%D]"

-- The address and port in a reply to PASV, or nil.
local function parsepasv(reply)
  local a, b, c, d, high, low = reply:match(PASV)
  if not low then return nil end
  for _, byte in ipairs { a, b, c, d, high, low } do
    if tonumber(byte) > 255 then return nil end
  end
  local port = tonumber(high) * 256 + tonumber(low)
  if isport(port) then return ("%d.%d.%d.%d"):format(a, b, c, d), port end
end

-- The port in the fields `|||port|` (RFC 2428), or nil. Their first byte says what separates them.
local function portfield(fields)
  local mark = fields:match("^[!-~]")
  local second = mark and fields:find(mark, 2, true)
  local third = second and fields:find(mark, second + 1, true)
  local port, after = fields:match("^(%d%d?%d?%d?%d?)(.*)$", third and third + 1)
  return third and after == mark and tonumber(port) or nil
end

-- The port in a reply to EPSV, like (|||port|), or nil.
local function parseepsv(reply)
  for fields in reply:gmatch("%(([^()]*)%)") do
    local port = portfield(fields)
    if port then return isport(port) and port or nil end
  end
end

-- Notes where the server listens: the next transfer connects there.
local function setpassive(session, address, port)
  forget(session)
  session.pasvt = { address = address, port = port }
  return address, port
end

---Asks the server to listen.
---@return string address
---@return integer port
function Session:pasv()
  local _, reply = ask(self, "2..", "pasv")
  local address, port = parsepasv(reply)
  self.try(address, reply)
  return setpassive(self, address, port)
end

-- Where a server that answered EPSV listens.
local function extendedpassive(session, reply)
  local port = session.try(parseepsv(reply), "invalid epsv response")
  return setpassive(session, session.try(session.tp:getpeername()), port)
end

---Asks the server to listen, at an address of any kind.
---@return string address
---@return integer port
function Session:epsv()
  local _, reply = ask(self, 229, "epsv")
  return extendedpassive(self, reply)
end

-- EPSV, or PASV with a server that does not know it. The address that PASV names is not
-- used: it is either the one we are talking to, or behind a NAT, or someone else's.
local function passive(session)
  local code, reply = ask(session, { 229, "5.." }, "epsv")
  if code == 229 then return extendedpassive(session, reply) end
  local peer = session.try(session.tp:getpeername())
  if peer:find(":", 1, true) then session.try(nil, reply) end -- PASV has no room for IPv6
  session:pasv()
  session.pasvt.address = peer
end

---Connects to where the server listens.
function Session:pasvconnect()
  local address, port = self.pasvt.address, self.pasvt.port
  self.data = self.try(wire.connect(address, port, ftp.TIMEOUT, self.sockets.create or socket.tcp))
  return 1
end

---------------------------------------------------------------- active

-- Listens at the address that the control connection has here, on a free port.
local function listen(session)
  forget(session)
  local address = session.try(session.tp:getsockname())
  session.server = session.try(socket.bind(address, 0))
  local _, port = session.try(session.server:getsockname())
  return address, tonumber(port)
end

-- Has the server told where to connect to: `describe` gives the argument of the command.
local function announce(session, command, address, port, describe)
  if address then
    session.pasvt = nil
  else
    address, port = listen(session)
  end
  ask(session, "2..", command, describe(address, tonumber(port)))
  return 1
end

---Tells the server where to connect to; without arguments, to a port opened for it.
---@param address? string IPv4
---@param port? integer
function Session:port(address, port)
  return announce(self, "port", address, port, function(host, number)
    return ("%s,%d,%d"):format(host:gsub("%.", ","), number // 256, number % 256)
  end)
end

---Tells the server where to connect to; without address, to a port opened for it.
---@param family? integer|string 1 for IPv4, 2 for IPv6
---@param address? string
---@param port? integer
function Session:eprt(family, address, port)
  return announce(self, "eprt", address, port, function(host, number)
    return ("|%s|%s|%d|"):format(family or (host:find(":", 1, true) and 2 or 1), host, number)
  end)
end

-- PORT where it can be used, because every server knows it.
local function active(session)
  local address = session.try(session.tp:getsockname())
  if address:find(":", 1, true) then return session:eprt() end
  return session:port()
end

-- Seconds until `deadline`, if there is one. After the deadline it is a time too short to wait.
local function remaining(deadline)
  return deadline and math.max(0.01, deadline - monotonic())
end

---Waits for the server to connect. Connections of other hosts are closed.
function Session:portconnect()
  local expected = self.try(self.tp:getpeername())
  local seconds = wire.seconds(ftp.TIMEOUT)
  local deadline = seconds and monotonic() + seconds
  local peer
  repeat
    closedata(self)
    self.data = self.try(self.sockets.accept(self.server, remaining(deadline) or nil))
    peer = self.data:getpeername()
  until peer == expected
  self.try(self.data:settimeout(ftp.TIMEOUT))
  return 1
end

---------------------------------------------------------------- transfers

-- The file a transfer is about: an argument as it is, or a path, which is a URL's.
local function transferargument(transfer)
  local argument = transfer.argument
    or url.unescape((string.gsub(transfer.path or "", "^[/\\]", "")))
  return argument ~= "" and argument or nil
end

-- Begins a transfer: the code and text of the reply, which says whether it is over already.
local function begin(session, transfer, command)
  session.try(session.pasvt or session.server, "need port or pasv first")
  if session.pasvt then session:pasvconnect() end
  return ask(session, { "1..", "2.." }, transfer.command or command, transferargument(transfer))
end

local function isover(code) return code >= 200 end

-- Waits for the reply that ends a transfer.
local function finish(session, code)
  if not isover(code) then session.try(session.tp:check("2..")) end
end

---Receives a file, or whatever `transfer.command` asks for.
---@param transfer socket.ftp.transfer
function Session:receive(transfer)
  local code, reply = begin(self, transfer, "retr")
  if isover(code) then -- the reply is all there is
    transfer.sink(reply)
    return 1
  end
  if not self.pasvt then self:portconnect() end
  local source = socket.source("until-closed", self.data)
  self.try(ltn12.pump.all(source, transfer.sink, transfer.step))
  finish(self, code)
  closedata(self)
  return 1
end

---Sends a file.
---@param transfer socket.ftp.transfer
---@return integer sent how many bytes
function Session:send(transfer)
  local code = begin(self, transfer, "stor")
  if not self.pasvt then self:portconnect() end
  local step = transfer.step or ltn12.pump.step
  -- The server may give up, or be content, before everything is sent.
  local function attentive(source, sink)
    if not isover(code) and self.sockets.arrived(self.tp) then
      code = self.try(self.tp:check("2.."))
    end
    return step(source, sink)
  end
  self.try(ltn12.pump.all(transfer.source, socket.sink("close-when-done", self.data), attentive))
  finish(self, code)
  local _, sent = self.data:getstats()
  closedata(self)
  return sent
end

---Says good-bye.
function Session:quit()
  ask(self, "2..", "quit")
  return 1
end

---Closes all connections of the session.
function Session:close()
  closedata(self)
  forget(self)
  return self.tp:close()
end

---------------------------------------------------------------- the interface

---@class socket.ftp.transfer: socket.url.parsed
---@field host? string
---@field sink? ltn12.sink for `get`
---@field source? ltn12.source for `put`
---@field argument? string the file; or the path of the URL
---@field command? string|string[] "retr" or "stor" if not given
---@field check? any with `ftp.command`: the codes expected
---@field type? "a"|"i"|string
---@field active? boolean true if the server is to connect to us; not in LuaSocket
---@field step? ltn12.step
---@field create? fun(): table?, string?
---@field sockets? socket.ftp.sockets

local DEFAULTS = { path = "/", scheme = "ftp" }

-- The type of transfer in the parameters of a URL.
local function parsetype(params)
  local type = params:match("^type=(.)$")
  if type ~= "a" and type ~= "i" then
    socket.try(nil, ("invalid type '%s'"):format(params:match("^type=(.*)$") or params))
  end
  return type
end

-- The fields of a URL. User and password are percent-encoded there; what a program gives as a field
-- is not.
local function parse(text)
  local fields, err = url.parse(text, DEFAULTS)
  if not fields then return nil, err end
  fields.user = fields.user and url.unescape(fields.user)
  fields.password = fields.password and url.unescape(fields.password)
  return fields
end

local function parseurl(text)
  local fields = socket.try(parse(text))
  if fields.scheme ~= "ftp" then socket.try(nil, ("wrong scheme '%s'"):format(fields.scheme)) end
  if not fields.host then socket.try(nil, "missing hostname") end
  if fields.params then fields.type = parsetype(fields.params) end
  return fields
end

---The generic form of a URL.
---@type fun(url: string): socket.ftp.transfer?, string?
ftp.genericform = socket.protect(parseurl)

-- The fields of a transfer: the fields of its URL, if it has one, and its own.
local function override(transfer)
  if not transfer.url then return transfer end
  local fields = parse(transfer.url) or {}
  for field, value in pairs(transfer) do fields[field] = value end
  return fields
end

local function needhost(request)
  if not request.host or request.host == "" then socket.try(nil, "missing hostname") end
end

-- Opens a session and gives it to a function, which does the work.
local function insession(request, work)
  needhost(request)
  local session = ftp.open(request.host, request.port, request.create, request.sockets)
  session:greet()
  session:login(request.user, request.password)
  local result = work(session)
  session:quit()
  session:close()
  return result
end

-- Agrees with the server on the type of data and on who connects to whom.
local function opentransfer(session, transfer)
  if transfer.type then session:type(transfer.type) end
  if transfer.active then active(session) else passive(session) end
end

-- Refuses a missing field of a request.
local function needfield(request, field)
  if not request[field] then socket.try(nil, "missing " .. field) end
end

-- Sends from a source, or receives into a sink: the field that a request must have for it.
local function moving(method, field)
  return function(transfer)
    transfer = override(transfer)
    needfield(transfer, field)
    return insession(transfer, function(session)
      opentransfer(session, transfer)
      return session[method](session, transfer)
    end)
  end
end

local put, get = moving("send", "source"), moving("receive", "sink")

---Uploads a file: a URL and the contents, or a table.
---@type fun(transfer: string|socket.ftp.transfer, content?: string): integer?, string?
ftp.put = socket.protect(function(transfer, content)
  if type(transfer) ~= "string" then return put(transfer) end
  transfer = parseurl(transfer)
  transfer.source = ltn12.source.string(content)
  return put(transfer)
end)

---Downloads a file: a URL, and the first result is the contents; or a table.
---@type fun(transfer: string|socket.ftp.transfer): string|integer|nil, string?
ftp.get = socket.protect(function(transfer)
  if type(transfer) ~= "string" then return get(transfer) end
  transfer = parseurl(transfer)
  local contents
  transfer.sink, contents = ltn12.sink.table()
  get(transfer)
  return table.concat(contents)
end)

-- Any reply but a failure.
local NO_FAILURE = { "1..", "2..", "3.." }

-- Sends the commands of a request one after the other.
local function runcommands(session, commands, arguments, checks)
  for index, command in ipairs(commands) do
    ask(session, checks[index] or NO_FAILURE, command, arguments[index])
  end
  return 1
end

---Sends one command (`command`, `argument`, `check`), or several, with tables in these fields.
---@type fun(request: socket.ftp.transfer): integer?, string?
ftp.command = socket.protect(function(request)
  if type(request) == "string" then request = { url = request } end
  request = override(request)
  needhost(request)
  needfield(request, "command")
  return insession(request, function(session)
    if type(request.command) == "table" then
      return runcommands(session, request.command, request.argument or {}, request.check or {})
    end
    return runcommands(session, { request.command }, { request.argument }, { request.check })
  end)
end)

socket.ftp = ftp
return ftp
