-- socket.httpconnection: one connection to an HTTP server, and the steps of an exchange on it. For
-- socket.httpclient; not part of LuaSocket's interface, but its objects are: `http.open` returns
-- them.

local socket = require "socket"
local ltn12 = require "ltn12"
local wire = require "socket.wire"
local body = require "socket.httpbody"
local front = require "socket.httpfront"

---Its methods throw what `socket.protect` catches.
---@class socket.http.connection
---@field c table the socket
---@field timeout? number
---@field try fun(...): ...
---@field limits? socket.wire.limits
---@field start? string what was received of the status line already
---@field requestline? string what is sent together with the header fields
---@field lines? socket.wire.reader
---@field isours? boolean no program receives from the socket itself
---@field isclosed? boolean it is closed, or kept for others
---@field hasanswered? boolean the answer has begun
local Connection = {}
local meta = { __index = Connection }

---A connection over a connected socket.
---@param sock table
---@param timeout? number|string seconds for each reply, up to its body
---@return socket.http.connection
local function new(sock, timeout)
  local self = setmetatable({ c = sock, timeout = timeout }, meta)
  self.try = socket.newtry(function() self:close() end)
  return self
end

-- Moves a body.
local function transfer(self, source, sink, step)
  return self.try(ltn12.pump.all(source, sink or ltn12.sink.null(), step))
end

---------------------------------------------------------------- sending

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
---@param text? string what `wire.format` has made of them
function Connection:sendheaders(fields, text)
  text = text or self.try(wire.format(fields))
  self.try(self.c:send((self.requestline or "") .. text .. "\r\n"))
  self.requestline = nil
  return 1
end

---Sends a body: in chunks if the fields have no content-length.
---@param fields table<string, any>
---@param source? ltn12.source
---@param step? ltn12.step
function Connection:sendbody(fields, source, step)
  return transfer(self, source or ltn12.source.empty(), body.sink(self.c, fields), step)
end

---------------------------------------------------------------- receiving

---What is received from: the socket, or a buffer in front of it. A program that has the connection
---itself may receive from the socket, and finds everything there.
---@return table
local function input(self)
  if not self.isours then return self.c end
  if not self.front or self.frontof ~= self.c then
    self.front, self.frontof = front.new(self.c, self.timeout), self.c
  end
  return self.front
end

-- What reads the heads of the answers to one request. The time begins with each head.
local function headlines(self)
  self.lines = self.lines or wire.reader(input(self), body.limits(self.limits), self.timeout)
  return self.lines
end

---@return integer? code nil if the server speaks HTTP/0.9
---@return string status the line, or the first bytes of the HTTP/0.9 body
function Connection:receivestatusline()
  local start = self.start or ""
  self.start = nil
  if #start < 5 then start = start .. self.try(input(self):receive(5 - #start)) end
  self.hasanswered = true
  if start ~= "HTTP/" then return nil, start end
  local lines = headlines(self)
  lines:restart()
  local status = start .. self.try(lines:next())
  local code = status:match("^HTTP/%d*%.%d* (%d%d%d)")
  if not code then self.try(nil, ("malformed status line '%s'"):format(wire.show(status))) end
  return tonumber(code), status
end

---@return table<string, string> fields with lowercase names
function Connection:receiveheaders()
  return self.try(body.receivefields(headlines(self)))
end

-- The source of a body with these fields, and whether its end is known before the connection ends.
local function bodysource(self, fields)
  local inchunks, coded = body.ischunked(fields)
  if inchunks then
    return body.chunksource(input(self), self.timeout, function(trailers)
      if getmetatable(fields) then body.annotate(fields, ":trailers", trailers) end
    end), true
  end
  if not coded then
    local length, err = body.length(fields)
    if err then self.try(nil, err) end
    if length then return socket.source("by-length", input(self), length), true end
  end
  return socket.source("until-closed", input(self)), false
end

---Receives a body: in chunks, of the length that the fields give, or until the end.
---@param fields table<string, string>
---@param sink? ltn12.sink
---@param step? ltn12.step
---@return any
---@return boolean whether another answer may follow on this connection
function Connection:receivebody(fields, sink, step)
  local source, islimited = bodysource(self, fields)
  return transfer(self, source, sink, step), islimited
end

---Receives a body of HTTP/0.9, whose first bytes came in place of a status line.
---@param start string
---@param sink? ltn12.sink
---@param step? ltn12.step
function Connection:receive09body(start, sink, step)
  local source = ltn12.source.cat(ltn12.source.string(start), socket.source("until-closed", input(self)))
  return transfer(self, source, sink, step)
end

---------------------------------------------------------------- the end


---Closes the connection.
function Connection:close()
  self.isclosed = true
  return self.c:close()
end

-- Closes the connection when the program fails, or its thread ends, before the answer is complete.
function meta.__close(self)
  if not self.isclosed then self:close() end
end

return new
