-- An echo server on nothing but LuaSocket: one loop around socket.select.
-- What stock Lua does without a scheduler; select ends at 1,024 descriptors.
--
--   socket-echo.lua [SIZE | line]   messages of SIZE bytes (64), or lines

local socket = require 'socket'

local pattern = arg[1] == 'line' and '*l' or tonumber(arg[1] or 64)
local ending = pattern == '*l' and '\n' or ''

local listener = assert(socket.bind('127.0.0.1', 0, 1024))
listener:settimeout(0)
local watched = {listener} -- an array, and in it each socket's index: removal costs nothing
local index = {}
local partial = {}

local function add(peer)
  peer:settimeout(0)
  peer:setoption('tcp-nodelay', true)
  watched[#watched + 1] = peer
  index[peer] = #watched
end

local function remove(peer)
  local hole, last = index[peer], watched[#watched]
  watched[hole], index[last] = last, hole
  watched[#watched] = nil
  index[peer], partial[peer] = nil, nil
  peer:close()
end

local function send_all(peer, data)
  local sent, failure, last = peer:send(data)
  while not sent and failure == 'timeout' do
    socket.select(nil, {peer})
    sent, failure, last = peer:send(data, last + 1)
  end
  return sent
end

local function serve(peer)
  local data, failure, rest = peer:receive(pattern, partial[peer])
  if data then
    partial[peer] = nil
    if not send_all(peer, data .. ending) then remove(peer) end
  elseif failure == 'timeout' then
    partial[peer] = rest
  else
    remove(peer)
  end
end

local _, port = listener:getsockname()
print('listening ' .. math.floor(port))
io.stdout:flush()
while true do
  for _, ready in ipairs((socket.select(watched))) do
    if ready == listener then
      add(assert(listener:accept()))
    else
      serve(ready)
    end
  end
end
