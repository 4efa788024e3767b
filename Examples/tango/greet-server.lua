-- The server of the tango tutorial.
--
--   build/milonga Examples/tango/greet-server.lua [PORT]
--
-- Without PORT it listens where tango clients look for a server: port 12345, and the ports after
-- it. With 0 it takes any ports that are free. It tells which, and runs until it is stopped.

local copas = require 'copas'
local tango = require 'tango'

-- What clients may use: any global. These two are new, all of Lua's are there as well.
greet = function(...) print(...) end
friends = {'Anna', 'Bo'}

-- One process, several servers. (For a single one, tango.server.copas_socket.loop{...} is enough.)
local port = tonumber(arg[1]) or 12345
local function serve(name, configuration)
  configuration.port = port
  local server, handler = tango.server.copas_socket.new(configuration)
  copas.addserver(server, handler)
  print(('%s on port %d'):format(name, select(2, server:getsockname())))
  if port > 0 then port = port + 1 end
end

io.stdout:setvbuf 'line'
serve('everything', {})
serve('only math', {functab = math})
serve('no variables', {read_access = false, write_access = false})
local hasJSON, cjson = pcall(require, 'cjson')
if hasJSON then serve('JSON', {serialize = cjson.encode, unserialize = cjson.decode}) end
print 'ready'
copas.loop()
