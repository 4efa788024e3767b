-- Tarantool with a function `echo`, for net.box clients. Announces its port.
--
--   tarantool server.lua

local fio = require 'fio'

box.cfg {
  listen = '127.0.0.1:0', wal_mode = 'none', log_level = 1, memtx_memory = 64 * 1024 * 1024,
  work_dir = fio.tempdir(),
}

echo = function(...) return ... end
box.schema.func.create('echo', { if_not_exists = true })
box.schema.user.grant('guest', 'execute', 'function', 'echo', { if_not_exists = true })

print('listening ' .. box.info.listen:match ':(%d+)$')
io.stdout:flush()
