-- ZeroMQ's protocol (ZMTP 3.0, without security) on a plain socket, for clients that do what libzmq
-- does not allow.

local socket = require 'socket'

local zmtp = {}
local Peer = {}
Peer.__index = Peer

local function part(text, more)
  local flags = more and 1 or 0
  if #text < 256 then return string.pack('BB', flags, #text) .. text end
  return string.pack('>BI8', flags | 2, #text) .. text
end

-- Connects as a DEALER without an identity.
function zmtp.connect(port)
  local peer = assert(socket.connect('127.0.0.1', port))
  peer:settimeout(60)
  assert(peer:send('\255' .. ('\0'):rep(7) .. '\1\127\3\0NULL' .. ('\0'):rep(48)))
  local ready = '\5READY\11Socket-Type\0\0\0\6DEALER\8Identity\0\0\0\0'
  assert(peer:send('\4' .. string.char(#ready) .. ready))
  assert(peer:receive(64))
  local size = assert(peer:receive(2)):byte(2)
  assert(peer:receive(size))
  return setmetatable({socket = peer}, Peer)
end

-- The bytes of a request.
function zmtp.request(id, body) return part(id, true) .. part('', true) .. part(body, false) end

-- Sends as much as the server and the system take within `seconds`; whether that is all.
function Peer:push(text, seconds)
  self.socket:settimeout(seconds or 60)
  local last = self.socket:send(text)
  self.socket:settimeout(60)
  return last ~= nil
end

-- The next answer: what the client wanted back, and the body; nil and the error at the end.
function Peer:receive()
  local parts = {}
  repeat
    local flags, reason = self.socket:receive(1)
    if not flags then return nil, reason end
    flags = flags:byte()
    local size
    if flags & 2 ~= 0 then
      size = string.unpack('>I8', assert(self.socket:receive(8)))
    else
      size = assert(self.socket:receive(1)):byte()
    end
    local text, reason = '', nil
    if size > 0 then text, reason = self.socket:receive(size) end
    if not text then return nil, reason end
    parts[#parts + 1] = text
  until flags & 1 == 0
  return parts[1], parts[#parts]
end

function Peer:close() self.socket:close() end

return zmtp
