-- The rpc server that most tests talk to.
--
--   server.lua CONFIGURATION SETUP
--
-- CONFIGURATION: fields of its configuration, such as `allow = {'call'}`
-- SETUP: statements to run first

local copas = require 'copas'
local rpc = require 'rpc'
require 'served'

function fail(value) error(value) end
data = {x = 0, list = {10, 20, {30}}, [5] = 'five'}
nested = {method = {name = function() return true end}}

assert(load(arg[2] or ''))()
local configuration = assert(load('return {' .. (arg[1] or '') .. '}'))()
local server = assert(rpc.newserveronly('localhost', 0, configuration))
local _, port = server:getsockname()
io.stdout:setvbuf 'line'
print('listening ' .. ('%d'):format(port))
copas.loop()
