-- socket.httpbody: header fields and bodies of HTTP/1.1 messages, as they are received and sent.
-- For socket.httpconnection; not part of LuaSocket's interface.

local socket = require "socket"
local wire = require "socket.wire"
local streams = require "socket.streams"

local body = {}

---------------------------------------------------------------- limits

-- What a server may send before the body, or after a chunked one: the status line and header
-- fields, with those of interim replies.
local LIMITS = { line = 64 * 1024, total = 256 * 1024, lines = 1000 }

---These limits, where a program does not set others.
---@param own? table with the fields `line`, `total` and `lines`
---@return socket.wire.limits
function body.limits(own)
  return own and setmetatable({}, { __index = function(_, name) return own[name] or LIMITS[name] end })
    or LIMITS
end

-- The line that gives the size of a chunk, with its extensions.
local CHUNK_LINE_LIMITS = { line = 4096, total = 4096, lines = 1 }

-- Chunks longer than this reach the sink in pieces.
local MAX_PIECE = 64 * 1024

-- Sizes of chunks and bodies have at most so many digits: fewer than an integer can hold.
local MAX_SIZE_DIGITS = 15

---------------------------------------------------------------- header fields

-- What tables of received fields have besides the fields. No field name begins with a colon, so a
-- server cannot put a value of its own in their place; `pairs` does not see them.
---@class socket.http.received
---@field [":all"] table<string, string[]> the values of each field, one by one
---@field [":url"]? string what was asked for in the end, after redirections
---@field [":trailers"]? table<string, string> the fields that came after the body

---A table for received fields.
---@return table<string, string>
function body.newfields()
  return setmetatable({}, { __index = { [":all"] = {} } })
end

---Adds something to received fields that `pairs` does not see.
---@param fields table
---@param name string
---@param value any
function body.annotate(fields, name, value)
  getmetatable(fields).__index[name] = value
end

-- A field of the name has arrived.
local function add(fields, name, value)
  fields[name] = fields[name] and fields[name] .. ", " .. value or value
  local all = fields[":all"]
  all[name] = all[name] or {}
  table.insert(all[name], value)
end

-- A line that continues the last field of the name has arrived.
local function continue(fields, name, line)
  fields[name] = fields[name] .. line
  local values = fields[":all"][name]
  values[#values] = values[#values] .. line
end

---Receives fields up to an empty line. Their names are in lowercase. Values of one name are joined
---by a comma; a line that begins with white space continues the one before.
---@param lines socket.wire.reader
---@return table<string, string>?
---@return string? err
function body.receivefields(lines)
  local fields, name = body.newfields(), nil
  while true do
    local line, err = lines:next()
    if not line then return nil, err end
    if line == "" then return fields end
    if name and line:match("^%s") then
      continue(fields, name, line)
    else
      local field, value = line:match("^(.-):%s*(.*)$")
      if not field then return nil, "malformed reponse headers" end -- spelled as LuaSocket does
      name = field:lower()
      add(fields, name, value)
    end
  end
end

---The number of bytes in the body, if the fields say it: nil if they don't, or an error.
---@param fields table<string, string>
---@return integer?
---@return string? err
function body.length(fields)
  local text = fields["content-length"]
  if not text then return nil end
  local digits = text:match("^%s*(%d+)%s*$")
  for one in text:gmatch("[^,]+") do -- sent twice, but the same
    local repeated = one:match("^%s*(%d+)%s*$")
    digits = digits or repeated
    if not repeated or repeated ~= digits then return nil, "invalid content-length" end
  end
  if not digits or #digits > MAX_SIZE_DIGITS then return nil, "invalid content-length" end
  return math.tointeger(tonumber(digits))
end

---Whether the body comes in chunks; the second result is true if a transfer coding is named.
---@param fields table<string, string>
---@return boolean
---@return boolean
function body.ischunked(fields)
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

-- The function behind a source of chunks. `finish` is called with the fields after the last one.
local function chunkreader(sock, timeout, finish)
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
        ok, err = body.receivefields(wire.reader(sock, LIMITS, timeout))
        if ok then finish(ok) end
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
---@param finish? fun(fields: table<string, string>) called with the fields after the last chunk
---@return ltn12.source
function body.chunksource(sock, timeout, finish)
  return streams.over(sock, chunkreader(sock, timeout, finish or function() end))
end

---A sink that sends chunks. The socket stays open.
---@param sock table
---@return ltn12.sink
function body.chunksink(sock)
  return streams.over(sock, function(chunk)
    if not chunk then return sock:send("0\r\n\r\n") end
    if chunk == "" then return 1 end -- an empty chunk would be the last one
    return sock:send(("%X\r\n%s\r\n"):format(#chunk, chunk))
  end)
end

---The sink of a body: in chunks if the fields have no content-length.
---@param sock table
---@param fields table<string, any>
---@return ltn12.sink
function body.sink(sock, fields)
  return fields["content-length"] and socket.sink("keep-open", sock) or body.chunksink(sock)
end

return body
