-- socket.httpclient: the client side of HTTP/1.1, for socket.http and copas.http. Not part of
-- LuaSocket's interface.
--
-- A request goes through these steps: `prepare` makes a plan of it (where to connect, what to ask
-- for, which header fields), `send` and `receivehead` carry it out on one connection, and
-- `redirecttarget` says whether the answer leads to another request.

local socket = require "socket"
local url = require "socket.url"
local ltn12 = require "ltn12"
local mime = require "mime"
local wire = require "socket.wire"
local streams = require "socket.streams"

local httpclient = {}

---------------------------------------------------------------- limits

-- What a server may send before the body: the status line and header fields, with those of
-- interim replies; and the same after a chunked body.
local HEAD_LIMITS = { line = 64 * 1024, total = 256 * 1024, lines = 1000 }

-- The line that gives the size of a chunk, with its extensions.
local CHUNK_LINE_LIMITS = { line = 4096, total = 4096, lines = 1 }

-- Chunks longer than this reach the sink in pieces.
local MAX_PIECE = 64 * 1024

-- Sizes of chunks and bodies have at most so many digits: fewer than an integer can hold.
local MAX_SIZE_DIGITS = 15

local MAX_REDIRECTS = 5
local PROXY_PORT = 3128

---------------------------------------------------------------- header fields

-- Adds the fields that follow to `fields`, up to an empty line, with lowercase names. Values
-- of the same name are joined by a comma; a line that begins with white space continues the
-- one before.
local function receivefields(lines, fields)
  local name
  while true do
    local line, err = lines:next()
    if not line then return nil, err end
    if line == "" then return fields end
    local continued = name and line:match("^%s")
    if continued then
      fields[name] = fields[name] .. line
    else
      local field, value = line:match("^(.-):%s*(.*)$")
      if not field then return nil, "malformed reponse headers" end -- spelled as LuaSocket does
      name = field:lower()
      fields[name] = fields[name] and fields[name] .. ", " .. value or value
    end
  end
end

-- The number of bytes in the body, if the fields say it: nil if they don't, or an error.
local function contentlength(fields)
  local text = fields["content-length"]
  if not text then return nil end
  local digits = text:match("^%s*(%d+)%s*$")
  for one in text:gmatch("[^,]+") do -- sent twice, but the same
    local repeated = one:match("^%s*(%d+)%s*$")
    digits = digits or repeated
    if not repeated or repeated ~= digits then return nil, "invalid content-length" end
  end
  if not digits or #digits > MAX_SIZE_DIGITS then return nil, "invalid content-length" end
  return tonumber(digits)
end

-- Whether the body comes in chunks; the second result is true if a transfer coding is named.
local function chunked(fields)
  local coding = fields["transfer-encoding"]
  if not coding then return false, false end
  local codings = wire.trim(coding:lower())
  local last = codings:match("^.*[,%s](.*)$") or codings
  return last == "chunked", last ~= "identity"
end

---------------------------------------------------------------- chunks

local function chunksize(line)
  local digits, after = line:match("^%s*(%x+)%s*(.?)")
  if not digits or (after ~= "" and after ~= ";") then return nil end
  digits = digits:match("^0*(.*)$")
  return #digits <= MAX_SIZE_DIGITS and tonumber("0" .. digits, 16) or nil
end

-- The size of the next chunk.
local function receivechunksize(sock, timeout)
  local line, err = wire.reader(sock, CHUNK_LINE_LIMITS, timeout):next()
  if not line then return nil, err end
  local size = chunksize(line)
  if not size then return nil, "invalid chunk size" end
  return size
end

-- The line end after the data of a chunk.
local function receivechunkend(sock, timeout)
  local line, err = wire.reader(sock, CHUNK_LINE_LIMITS, timeout):next()
  if not line then return nil, err end
  if line ~= "" then return nil, "malformed chunk" end
  return true
end

-- The fields after the last chunk. They are read and dropped.
local function receivetrailer(sock, timeout)
  return receivefields(wire.reader(sock, HEAD_LIMITS, timeout), {})
end

-- The function behind a source of chunks.
local function chunkreader(sock, timeout)
  local left, ended = nil, false -- bytes left of the chunk; nil before the first one
  return function()
    if ended then return nil end
    local ok, err
    if left == 0 then
      ok, err = receivechunkend(sock, timeout)
      if not ok then return nil, err end
    end
    if not left or left == 0 then
      left, err = receivechunksize(sock, timeout)
      if not left then return nil, err end
      if left == 0 then
        ended = true
        ok, err = receivetrailer(sock, timeout)
        return nil, not ok and err or nil
      end
    end
    local piece
    piece, err = sock:receive(math.min(left, MAX_PIECE))
    if not piece then return nil, err end
    left = left - #piece
    return piece
  end
end

---A source that receives chunks and takes their coding off.
---@param sock table
---@param timeout? number seconds for what is around a chunk
---@return ltn12.source
function httpclient.chunksource(sock, timeout)
  return streams.over(sock, chunkreader(sock, timeout))
end

---A sink that sends chunks. The socket stays open.
---@param sock table
---@return ltn12.sink
function httpclient.chunksink(sock)
  return streams.over(sock, function(chunk)
    if not chunk then return sock:send("0\r\n\r\n") end
    if chunk == "" then return 1 end -- an empty chunk would be the last one
    return sock:send(("%X\r\n%s\r\n"):format(#chunk, chunk))
  end)
end

---------------------------------------------------------------- connections

---One connection and one exchange on it. Its methods throw what `socket.protect` catches.
---@class socket.http.connection
---@field c table the socket
---@field timeout? number
---@field try fun(...): ...
local Connection = {}
local meta = { __index = Connection }

---A connection over a connected socket.
---@param sock table
---@param timeout? number seconds for each reply, up to its body
---@return socket.http.connection
function httpclient.connection(sock, timeout)
  local self = setmetatable({ c = sock, timeout = timeout }, meta)
  self.try = socket.newtry(function() self:close() end)
  return self
end

-- Moves a body.
local function transfer(self, source, sink, step)
  return self.try(ltn12.pump.all(source, sink or ltn12.sink.null(), step))
end

---The request line. It is sent together with the header fields.
---@param method? string
---@param uri string
function Connection:sendrequestline(method, uri)
  local line = ("%s %s HTTP/1.1"):format(method or "GET", uri)
  if line:find("[\r\n%z]") then self.try(nil, "line end in request line") end
  self.requestline = line .. "\r\n"
  return 1
end

---Sends header fields (lowercase names) and what ends them.
---@param fields table<string, any>
function Connection:sendheaders(fields)
  local text = self.try(wire.format(fields))
  self.try(self.c:send((self.requestline or "") .. text .. "\r\n"))
  self.requestline = nil
  return 1
end

---Sends a body: in chunks if the fields have no content-length.
---@param fields table<string, any>
---@param source? ltn12.source
---@param step? ltn12.step
function Connection:sendbody(fields, source, step)
  local sink = fields["content-length"] and socket.sink("keep-open", self.c)
    or httpclient.chunksink(self.c)
  return transfer(self, source or ltn12.source.empty(), sink, step)
end

---@return integer? code nil if the server speaks HTTP/0.9
---@return string status the line, or the first bytes of the HTTP/0.9 body
function Connection:receivestatusline()
  local start = self.try(self.c:receive(5))
  if start ~= "HTTP/" then return nil, start end
  if self.lines then
    self.lines:restart()
  else
    self.lines = wire.reader(self.c, HEAD_LIMITS, self.timeout)
  end
  local status = start .. self.try(self.lines:next())
  local code = status:match("^HTTP/%d*%.%d* (%d%d%d)")
  if not code then self.try(nil, ("malformed status line '%s'"):format(wire.show(status))) end
  return tonumber(code), status
end

---@return table<string, string> fields with lowercase names
function Connection:receiveheaders()
  local lines = self.lines or wire.reader(self.c, HEAD_LIMITS, self.timeout)
  return self.try(receivefields(lines, {}))
end

-- The source of a body with these fields.
local function bodysource(self, fields)
  local inchunks, coded = chunked(fields)
  if inchunks then return httpclient.chunksource(self.c, self.timeout) end
  if not coded then
    local length, err = contentlength(fields)
    if err then self.try(nil, err) end
    if length then return socket.source("by-length", self.c, length) end
  end
  return socket.source("until-closed", self.c)
end

---Receives a body: in chunks, of the length that the fields give, or until the end.
---@param fields table<string, string>
---@param sink? ltn12.sink
---@param step? ltn12.step
function Connection:receivebody(fields, sink, step)
  return transfer(self, bodysource(self, fields), sink, step)
end

---Receives a body of HTTP/0.9, whose first bytes came in place of a status line.
---@param start string
---@param sink? ltn12.sink
---@param step? ltn12.step
function Connection:receive09body(start, sink, step)
  local source = ltn12.source.cat(ltn12.source.string(start), socket.source("until-closed", self.c))
  return transfer(self, source, sink, step)
end

---Closes the connection.
function Connection:close()
  self.isclosed = true
  return self.c:close()
end

-- Closes the connection when the program fails, or its thread ends, before the answer is complete.
function meta.__close(self)
  if not self.isclosed then self:close() end
end

---------------------------------------------------------------- requests

---@class socket.http.request: socket.url.parsed
---@field url? string
---@field sink? ltn12.sink
---@field method? string "GET" if not given
---@field headers? table<string, any>
---@field source? ltn12.source
---@field step? ltn12.step
---@field proxy? string
---@field redirect? boolean false to see redirections
---@field create? fun(): table?, string?
---@field maxredirects? integer|false 5 if not given, false for no limit

-- What a URL or request without these parts has.
local DEFAULTS = { scheme = "http", path = "/" }

local function basic(user, password)
  return "Basic " .. (mime.b64(user .. ":" .. password))
end

-- The host as it is written in URLs and in the host field.
local function hostfield(plan, defaultport)
  local host = plan.host
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  if tostring(plan.port) ~= tostring(defaultport) then host = host .. ":" .. plan.port end
  return host
end

-- Where to connect through a proxy.
local function proxyaddress(client, plan)
  local text = plan.proxy or client.settings.PROXY
  if not text then return nil end
  local proxy = url.parse(text)
  if not proxy or not proxy.host then
    socket.try(nil, ("invalid proxy '%s'"):format(wire.show(tostring(text))))
  end
  proxy.port = proxy.port or PROXY_PORT
  return proxy
end

-- What to ask the server for: the whole URL from a proxy, else the part after the host.
local function requesturi(plan, proxy)
  if proxy then return url.build(plan) end
  return url.build {
    path = plan.path, params = plan.params, query = plan.query, fragment = plan.fragment,
  }
end

-- The header fields: those the protocol needs, overridden by the program's.
local function requestfields(client, request, plan, proxy)
  local fields = {
    ["user-agent"] = client.settings.USERAGENT,
    ["host"] = hostfield(plan, client.port(plan.scheme)),
    ["connection"] = "close, TE",
    ["te"] = "trailers",
  }
  if plan.user and plan.password then
    fields["authorization"] = basic(plan.user, url.unescape(plan.password))
  end
  if proxy and proxy.user and proxy.password then
    fields["proxy-authorization"] = basic(proxy.user, proxy.password)
  end
  for name, value in pairs(wire.lowercase(request.headers)) do fields[name] = value end
  if plan.source and not fields["content-length"] then
    fields["transfer-encoding"] = fields["transfer-encoding"] or "chunked"
  end
  return fields
end

-- All that a request needs, in one table.
local function prepare(client, request)
  local text = request.url ~= "" and request.url or "//"
  local plan = url.parse(text, DEFAULTS) --[[@as table]]
  for field, value in pairs(request) do plan[field] = value end
  plan.scheme = plan.scheme and plan.scheme:lower()
  local port = client.port(plan.scheme)
  if not port then
    socket.try(nil, ("unknown scheme '%s'"):format(wire.show(tostring(plan.scheme))))
  end
  if not plan.host or plan.host == "" then
    socket.try(nil, ("invalid host '%s'"):format(tostring(plan.host)))
  end
  if not plan.port or plan.port == "" then plan.port = port end
  local proxy = proxyaddress(client, plan)
  plan.uri = plan.uri or requesturi(plan, proxy)
  plan.headers = requestfields(client, request, plan, proxy)
  plan.address = proxy or plan
  return plan
end

---------------------------------------------------------------- answers

local function informational(code)
  return code >= 100 and code < 200
end

local function hasbody(plan, code)
  return plan.method ~= "HEAD" and not informational(code) and code ~= 204 and code ~= 304
end

-- Sends all of a request.
local function send(connection, plan)
  connection:sendrequestline(plan.method, plan.uri)
  connection:sendheaders(plan.headers)
  if plan.source then connection:sendbody(plan.headers, plan.source, plan.step) end
end

-- The head of the answer; without fields it is one of HTTP/0.9. After an informational reply
-- another one follows, unless the protocol changes.
local function receivehead(connection)
  repeat
    local code, status = connection:receivestatusline()
    if not code then return nil, status end
    local fields = connection:receiveheaders()
    if not informational(code) or code == 101 then return code, status, fields end
  until false
end

---------------------------------------------------------------- redirection

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true }

-- Fields that no other host than the one they were made for may see.
local PRIVATE = { ["authorization"] = true, ["cookie"] = true, ["host"] = true }

local function percent(char)
  return ("%%%02X"):format(char:byte())
end

-- The URL that a redirection leads to, if it is one that may be followed: only requests
-- without a body, only schemes we know. From https to http it may be an error.
local function redirecttarget(client, plan, code, fields)
  if plan.redirect == false or not REDIRECTS[code] or plan.source then return nil end
  if plan.method and plan.method ~= "GET" and plan.method ~= "HEAD" then return nil end
  local location = wire.trim(fields["location"] or ""):gsub("[%c ]", percent)
  if location == "" then return nil end
  local target = url.parse(url.absolute(plan, location))
  local scheme = target and target.scheme and target.scheme:lower()
  if not client.port(scheme) then return nil end
  if plan.scheme == "https" and scheme ~= "https" then
    local allowed, err = client.leavehttps(plan)
    if not allowed then return nil, err end
  end
  target.scheme = scheme
  return target
end

local function mayfollow(plan, hops)
  local limit = plan.maxredirects
  if limit == nil then limit = MAX_REDIRECTS end
  return limit == false or hops < tonumber(limit)
end

local function sameorigin(client, plan, target)
  local port = target.port or client.port(target.scheme)
  return plan.scheme == target.scheme and plan.host == target.host
    and tostring(plan.port) == tostring(port)
end

local function withoutprivate(fields)
  local public = {}
  for name, value in pairs(fields or public) do
    if not PRIVATE[name:lower()] then public[name] = value end
  end
  return public
end

-- The request that follows a redirection.
local function redirection(client, request, plan, target)
  local isours = sameorigin(client, plan, target)
  local following = {
    url = url.build(target),
    sink = request.sink,
    step = request.step,
    proxy = request.proxy,
    maxredirects = request.maxredirects,
    headers = isours and request.headers or withoutprivate(request.headers),
  }
  client.inherit(following, request, plan.scheme == target.scheme)
  return following
end

---------------------------------------------------------------- the interface

-- Follows redirections to an answer and gives its body to the sink.
local function perform(client, request)
  local hops = request.nredirects or 0
  local followed -- the location that the last hop came from
  while true do
    local plan = prepare(client, request)
    local connection <close> = client.open(plan)
    send(connection, plan)
    local code, status, fields = receivehead(connection)
    if not code then
      connection:receive09body(status, plan.sink, plan.step)
      connection:close()
      return 1, 200
    end
    local target, refused
    if mayfollow(plan, hops) then
      target, refused = redirecttarget(client, plan, code, fields)
    end
    if refused then connection.try(nil, refused) end
    if not target then
      if hasbody(plan, code) then connection:receivebody(fields, plan.sink, plan.step) end
      connection:close()
      fields["location"] = fields["location"] or followed
      return 1, code, fields, status
    end
    connection:close()
    followed, hops = fields["location"], hops + 1
    request = redirection(client, request, plan, target)
  end
end

---@alias socket.http.fields table<string, string>
---@alias socket.http.simple fun(url: string, body?: string): string?, integer|string, socket.http.fields?, string?
---@alias socket.http.generic fun(request: socket.http.request): 1?, integer|string, socket.http.fields?, string?

---The generic form of a simple request. What is received goes to its field `target`.
---@param location string
---@param body? string makes it a POST
---@return socket.http.request
function httpclient.genericform(location, body)
  local sink, target = ltn12.sink.table()
  local request = { url = location, sink = sink, target = target }
  if body then
    body = tostring(body)
    request.method = "POST"
    request.source = ltn12.source.string(body)
    request.headers = {
      ["content-length"] = #body,
      ["content-type"] = "application/x-www-form-urlencoded",
    }
  end
  return request
end

-- What `request` does, in its two forms.
local function request(client, what, body)
  if type(what) == "string" then
    local generic = httpclient.genericform(what, body)
    local _, code, fields, status = perform(client, generic)
    return table.concat(generic.target), code, fields, status
  elseif type(what) ~= "table" then
    local message = "bad argument #1 to 'request' (string or table expected, got %s)"
    error(message:format(type(what)), 3) -- `protect` is in between
  end
  return perform(client, what)
end

---What a module that offers requests decides for itself.
---@class socket.http.client
---@field settings table its fields TIMEOUT, USERAGENT and PROXY
---@field port fun(scheme: any): integer? the port of a scheme; nil if there is no such scheme
---@field open fun(plan: table): socket.http.connection connects to `plan.address`
---@field leavehttps fun(plan: table): boolean, string? whether a redirection may lead to http; or an error
---@field inherit fun(following: table, request: table, samescheme: boolean) passes fields on

---The function `request` of a module. With a string, the first result is the body; with a table
---it is 1 and the body goes to the sink.
---@param client socket.http.client
---@return socket.http.simple|socket.http.generic
function httpclient.requester(client)
  return socket.protect(function(what, body) return request(client, what, body) end)
end

return httpclient
