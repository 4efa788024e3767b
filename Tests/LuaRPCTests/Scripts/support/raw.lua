-- Bytes on the wire, for tests that are a peer by themselves.

local socket = require 'socket'

local raw = {}

function raw.connect(port)
  local peer = assert(socket.connect('127.0.0.1', port))
  peer:settimeout(60)
  peer:setoption('tcp-nodelay', true)
  return peer
end

function raw.unhex(text) return (text:gsub('%x%x', function(h) return string.char(tonumber(h, 16)) end)) end
function raw.hex(text) return (text:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end

-- A message of type 0 (call) or 1 (response).
function raw.message(kind, sequence, payload) return string.pack('>BBs4', kind, sequence, payload) end

-- A value: text, small integer, true, false or nil.
function raw.value(value)
  if type(value) == 'string' then return '\4' .. string.pack('>s2', value) end
  if type(value) == 'number' then return '\7' .. string.pack('>i4', value) end
  if value == nil then return '\0' end
  return value and '\1\1' or '\1\0'
end

function raw.call(sequence, ...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = raw.value((select(i, ...))) end
  return raw.message(0, sequence, table.concat(parts))
end

-- The next message: its type, sequence number and payload; nil and the error at the end.
function raw.receive(peer)
  local header, reason = peer:receive(6)
  if not header then return nil, reason end
  local kind, sequence, size = string.unpack('>BBI4', header)
  if size == 0 then return kind, sequence, '' end
  local payload, reason = peer:receive(size)
  if not payload then return nil, reason end
  return kind, sequence, payload
end

return raw
