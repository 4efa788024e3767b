-- lua5.1: a server that speaks as the original does, for one client after the other.

package.path = arg[0]:match '^.*/' .. '?.lua;' .. package.path
local socket = require 'socket'
local wire = require 'original_wire'

add = function(a, b) return a + b end
echo = function(...) return ... end
count = function(...) return select('#', ...) end
same = function(a, b) return a == b end
hex = function(text)
  return (text:gsub('[%z\1-\255]', function(c) return ('%02x'):format(c:byte()) end))
end
keys = function(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ',')
end
strerror = function() error 'testmessage' end
customerror = function(value) error(value) end
person = function(name)
  return {name = function(_, new)
    if not new then return name end
    name = new
  end}
end
data = {x = 0, y = 3}

local objects = {}
local dispatch

tango = {
  ref_create = function(name, ...)
    local answer = dispatch{name, ...}
    if not answer[1] then error(answer[2]) end
    local id = tostring(answer[2])
    objects[id] = answer[2]
    return id
  end,
  ref_call = function(id, name, ...)
    if not objects[id] then error('tango.ref invalid id' .. id) end
    return objects[id][name](objects[id], ...)
  end,
  ref_release = function(id) objects[id] = nil end,
}

function dispatch(request)
  local value, parent, last = _G, nil, nil
  for name in request[1]:gmatch '[%w_]+' do
    if type(value) ~= 'table' then
      return {false, ('tango server error "%s": no such variable'):format(request[1])}
    end
    value, parent, last = value[name], value, name
  end
  if type(value) == 'function' then return {pcall(value, unpack(request, 2))} end
  if request[2] == nil then return {true, value} end
  parent[last] = request[2]
  return {true}
end

local server = assert(socket.bind('127.0.0.1', 0))
io.stdout:setvbuf 'line'
print('listening ' .. select(2, server:getsockname()))
server:settimeout(60)
while true do
  local client = server:accept()
  if not client then break end
  repeat
    local ok = pcall(function()
      wire.send(client, dispatch(wire.receive(client)))
    end)
  until not ok
  client:close()
end
