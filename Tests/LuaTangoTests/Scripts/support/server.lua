-- The tango server that most tests talk to.
--
--   server.lua CONFIGURATION SETUP
--
-- CONFIGURATION: fields of its configuration, such as `read_access = false`
-- SETUP: statements to run first

local copas = require 'copas'
local tango = require 'tango'
require 'served'

function strerror() error('testmessage') end
function customerror(value) error(value) end
nested = {method = {name = function() return true end}}

function person(name)
  local self = {_name = name}
  function self:name(new)
    if not new then return self._name end
    self._name = new
  end
  return self
end

function double_x() return 2 * x end
data = {x = 0, y = 3}

assert(load(arg[2] or ''))()
local configuration = assert(load('return {' .. (arg[1] or '') .. '}'))()
configuration.port = configuration.port or 0
-- Both servers for sockets pass the same tests.
local backEnd = os.getenv 'TANGO_SERVER' or 'copas_socket'
local port
if backEnd == 'zmq' or configuration.url then
  configuration.url = configuration.url or 'tcp://127.0.0.1:*'
  port = tango.server.zmq.new(configuration):url():match ':(%d+)$' or 0
else
  server, handler = tango.server[backEnd].new(configuration)
  _, port = server:getsockname()
end
if handler then copas.addserver(server, handler) end
io.stdout:setvbuf 'line'
print('listening ' .. ('%d'):format(port))
copas.loop()
