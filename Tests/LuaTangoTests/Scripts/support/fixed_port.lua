-- Loaded in front of a program that leaves tango's port at its default: makes that the one which the
-- variable TANGO_PORT names. For the original's tango on Lua 5.1, and for ours.

local tango = require 'tango'

local function onPort(f)
  return function(configuration)
    configuration = configuration or {}
    configuration.port = configuration.port or tonumber(os.getenv 'TANGO_PORT')
    return f(configuration)
  end
end

local back = tango.server.copas_socket
back.new, back.loop = onPort(back.new), onPort(back.loop)
tango.client.socket.connect = onPort(tango.client.socket.connect)
