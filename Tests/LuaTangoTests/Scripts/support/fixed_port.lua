-- Loaded before a program that does not set tango's port: it uses the port in the variable TANGO_PORT
-- then. For the original's tango on Lua 5.1, and for ours.

local tango = require 'tango'

local port = tonumber(os.getenv 'TANGO_PORT')

local function onPort(f)
  return function(configuration)
    configuration = configuration or {}
    configuration.port = configuration.port or port
    configuration.url = configuration.url or ('tcp://127.0.0.1:%d'):format(port)
    return f(configuration)
  end
end

for _, side in pairs{tango.server, tango.client} do
  for _, back in pairs(side) do
    for _, name in pairs{'new', 'loop', 'connect'} do
      if back[name] then back[name] = onPort(back[name]) end
    end
  end
end
