-- socket.wire: what http, ftp and smtp have in common: connecting, the lines of a reply, read
-- within limits, and header fields, written safely. Not part of LuaSocket's interface.

local socket = require "socket"
local headers = require "socket.headers"
local front = require "socket.httpfront"
local buffered = require "socket.buffered"
local monotonic = require "socket.monotonic"

local wire = {}

local NEWLINE = ("\n"):byte()

---------------------------------------------------------------- connecting

---A connected socket.
---@param host string
---@param port integer|string
---@param timeout? number|string seconds, for connecting and for every wait after that
---@param create? fun(): table?, string? called instead of `socket.tcp`
---@return table?
---@return string? err
function wire.connect(host, port, timeout, create)
  create = create or socket.tcp
  local sock, err = create()
  if not sock then return nil, err end
  sock:settimeout(timeout)
  local connected, reason = sock:connect(host, port)
  if connected then return sock end
  sock:close()
  return nil, reason
end

---Seconds as a number. Settings that come from a file or the environment are text, which
---`settimeout` takes, too.
---@param value number|string|nil
---@return number? seconds nil for no limit
function wire.seconds(value)
  if value == nil then return nil end
  local seconds = tonumber(value)
  if not seconds then
    error(("timeout: number expected, got '%s'"):format(wire.show(tostring(value))), 0)
  end
  return seconds >= 0 and seconds or nil
end

---------------------------------------------------------------- reading lines

---What a peer may send as one reply. The time begins with the reply's first line.
---@class socket.wire.limits
---@field line integer bytes in a line
---@field total integer bytes in all lines
---@field lines integer how many lines

---@class socket.wire.reader
local Reader = {}
Reader.__index = Reader

---Reads the lines of one reply.
---@param sock table an object with `receive`
---@param limits socket.wire.limits
---@param timeout? number|string seconds for the whole reply after its first byte
---@return socket.wire.reader
function wire.reader(sock, limits, timeout)
  return setmetatable({
    sock = sock,
    receiveline = getmetatable(sock) == front.class and front.class.receiveline or nil,
    line = limits.line,
    bytes = limits.total,
    lines = limits.lines,
    timeout = wire.seconds(timeout),
  }, Reader)
end

-- Whether the time for this reply is over. The first call starts it.
function Reader:expired()
  if not self.timeout then return false end
  local now = monotonic()
  self.deadline = self.deadline or now + self.timeout
  return now > self.deadline
end

---The next line begins another reply. Its time begins anew; the limits count on.
function Reader:restart()
  self.deadline = nil
end

-- The bytes up to the next line end and with it, if there are no more of them than `most`.
-- `receive` of a line has no limit, and bytes behind the line must stay in the socket. So this
-- receives one byte, for which it may wait, and then the part of the line that the socket holds
-- already.
function Reader:receive(most)
  if self.receiveline then
    local line, err = self.receiveline(self.sock, most, function() return self:expired() end)
    if not line then return nil, err end
    if line:byte(-1) == NEWLINE then return line end
    return nil, most < self.line and "reply too long" or "line too long"
  end
  local pieces, count = {}, 0
  while count < most do
    local piece, err = self.sock:receive(1)
    if not piece then return nil, err end
    if self:expired() then return nil, "timeout" end
    if piece ~= "\n" then piece = piece .. (buffered(self.sock, most - count - 1) or "") end
    pieces[#pieces + 1] = piece
    count = count + #piece
    if piece:byte(-1) == NEWLINE then return table.concat(pieces) end
  end
  return nil, most < self.line and "reply too long" or "line too long"
end

---The next line, without its end.
---@return string? line
---@return string? err "line too long", "reply too long", "timeout", "closed", ...
function Reader:next()
  if self.lines == 0 or self.bytes <= 0 then return nil, "reply too long" end
  local line, err = self:receive(math.min(self.line, self.bytes))
  if not line then return nil, err end
  self.lines = self.lines - 1
  self.bytes = self.bytes - #line
  return (line:gsub("[\r\n]", ""))
end

---Text without the white space around it. Takes time in proportion to the text, as everything must
---that looks at what a peer sent: a pattern that can begin anywhere, or has two parts that match
---the same bytes, takes seconds for one long line.
---@param text string
---@return string
function wire.trim(text)
  local start = text:find("%S")
  return start and text:match(".*%S", start) or ""
end

---------------------------------------------------------------- header fields

---A copy of the fields with lowercase names.
---@param fields? table<string, any>
---@return table<string, any>?
---@return string? err
function wire.lowercase(fields)
  local lower = {}
  if fields ~= nil and type(fields) ~= "table" then
    return nil, ("invalid header fields: table expected, got %s"):format(type(fields))
  end
  for name, value in pairs(fields or lower) do
    local key = type(name) == "string" and name:lower() or name
    if lower[key] ~= nil and lower[key] ~= value then
      return nil, ("header field '%s' is given twice"):format(wire.show(key))
    end
    lower[key] = value
  end
  return lower
end

-- A name has no spaces, no colons and no control characters.
local function isname(name)
  return type(name) == "string" and name:find("^[!-9;-~]+$") ~= nil
end

-- A line end may be in a value only where it continues the value on the next line.
local function isbroken(value)
  return value:gsub("\r?\n[ \t]", ""):find("[\r\n%z]") ~= nil
end

-- One field as a line, or what is wrong with it.
local function formatfield(name, value)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" then
    local message = "invalid header field '%s': string or number expected, got %s"
    return nil, message:format(wire.show(tostring(name)), kind)
  end
  value = tostring(value)
  if not isname(name) or isbroken(value) then
    return nil, ("invalid header field '%s'"):format(wire.show(tostring(name)))
  end
  return (headers.canonic[name] or name) .. ": " .. value .. "\r\n"
end

---The fields as text, in alphabetical order, with names as in `headers.canonic`.
---@param fields table<string, any>
---@return string? text
---@return string? err
function wire.format(fields)
  local lines = {}
  for name, value in pairs(fields) do
    local line, err = formatfield(name, value)
    if not line then return nil, err end
    lines[#lines + 1] = line
  end
  table.sort(lines)
  return table.concat(lines)
end

---Peer's or program's text for a message: short, on one line, without control characters.
---@param text string
---@return string
function wire.show(text)
  if #text > 80 then text = text:sub(1, 77) .. "..." end
  return (text:gsub("%c", "?"))
end

return wire
