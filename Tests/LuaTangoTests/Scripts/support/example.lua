-- Runs an example of tango's documentation as it is, on a port of our choice.
--
--   example.lua PORT FILE [CHECK]
--
-- The examples use port 12345, which may be taken: a client or server that is told that port, or none,
-- gets PORT. CHECK: statements that follow the example and see its local variables.

local path = arg[0]:match '^.*/' or ''
package.path = path .. '?.lua;' .. package.path
local tango = require 'tango'

local port = tonumber(arg[1])

local function onPort(f)
  return function(configuration)
    local copy = {}
    for k, v in pairs(configuration or {}) do copy[k] = v end
    assert(copy.port == nil or copy.port == 12345, 'the example uses another port')
    copy.port = port
    return f(copy)
  end
end

local back = tango.server.copas_socket
local connect = onPort(tango.client.socket.connect)
back.new, back.loop = onPort(back.new), onPort(back.loop)
tango.client.socket.connect = function(configuration)
  con = connect(configuration)
  return con
end

-- Some examples go on with the connection of the one before, and one calls its own `client`.
setmetatable(_G, {__index = function(_, name)
  if name == 'client' then return con end
  if name == 'con' then return tango.client.socket.connect() end
end})

local name = arg[2]
io.stdout:setvbuf 'line'
-- The server's variable that the examples read and write.
friends = {'Anna', 'Bo'}

local file = assert(io.open(path .. 'examples/' .. name .. '.lua'))
-- Three dots in a line of their own stand for more of the same.
local text = ('\n' .. file:read 'a'):gsub('\n%.%.%.\n', '\n\n'):sub(2)
file:close()
local check = table.concat({table.unpack(arg, 3)}, '\n')
assert(load(text .. '\n' .. check, '@' .. name .. '.lua'))()
