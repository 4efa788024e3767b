-- A client that speaks TLS and waits to be killed.
--
--   tls_client.lua PORT TEXT [reset]

local socket = require 'socket'
local ssl = require 'ssl'

local plain = assert(socket.connect('127.0.0.1', tonumber(arg[1])))
if arg[3] == 'reset' then plain:setoption('linger', {on = true, timeout = 0}) end
local secure = assert(ssl.wrap(plain, {mode = 'client', protocol = 'any', verify = 'none'}))
assert(secure:dohandshake())
assert(secure:send(arg[2]))
print 'ready'
io.stdout:flush()
socket.sleep(600)
