-- A tango server, as a program has it. It offers all globals, unless the second argument says
-- otherwise.
--
--   shop.lua PORT [everything | math | closed | json]

local tango = require 'tango'
local cjson = require 'cjson'

stock = {'mate', 'yerba'}

function sell(...) print('sold', ...) end

local configuration = ({
  everything = {},
  math = {functab = math},
  closed = {read_access = false, write_access = false},
  json = {serialize = cjson.encode, unserialize = cjson.decode},
})[arg[2] or 'everything']
configuration.port = tonumber(arg[1])

io.stdout:setvbuf 'line'
tango.server.copas_socket.loop(configuration)
