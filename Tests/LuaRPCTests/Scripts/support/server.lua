-- The rpc server that most tests talk to.
--
--   server.lua CONFIGURATION SETUP
--
-- CONFIGURATION: fields of its configuration, such as `allow = {'call'}`
-- SETUP: statements to run first

local copas = require 'copas'
local rpc = require 'rpc'
local testing = require 'testing'
local gate = require 'gate'

function add(a, b) return a + b end
function echo(...) return ... end
function count(...) return select('#', ...) end
function fail(value) error(value) end
-- What arrived, as a text that tells all values apart.
list = testing.list
-- Answers after a while, without holding up anybody else.
function later(seconds, ...)
  copas.pause(seconds)
  return ...
end
-- Calls that end when the test says so.
hold, holding, release = gate.hold, gate.holding, gate.release
-- Has the server collect its garbage, and tells how many bytes Lua still holds.
function kilobytes()
  collectgarbage()
  collectgarbage()
  return collectgarbage 'count'
end
data = {x = 0, list = {10, 20, {30}}, [5] = 'five'}
nested = {method = {name = function() return true end}}

assert(load(arg[2] or ''))()
local configuration = assert(load('return {' .. (arg[1] or '') .. '}'))()
local server = assert(rpc.newserveronly('localhost', 0, configuration))
local _, port = server:getsockname()
-- Nobody may be left to stop it.
copas.addthread(function()
  copas.pause(600)
  os.exit(3)
end)
io.stdout:setvbuf 'line'
print('listening ' .. ('%d'):format(port))
copas.loop()
