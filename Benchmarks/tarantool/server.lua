-- An `echo` in Lua behind Tarantool's net.box protocol, on the port that the argument says.

local port = assert(tonumber(arg[1]), 'PORT expected')
local fio = require 'fio'

function echo(...) return ... end

-- Nothing is written but what box.cfg insists on.
box.cfg{
  listen = '127.0.0.1:' .. port, wal_mode = 'none', log_level = 1, log = '/dev/null',
  work_dir = fio.tempdir(),
}
box.schema.user.grant('guest', 'execute', 'universe', nil, {if_not_exists = true})
print('listening ' .. port)
io.stdout:flush()
