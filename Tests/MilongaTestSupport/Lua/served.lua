-- Functions that the servers of tests offer, as globals: a server's script requires this module.

local copas = require 'copas'
local gate = require 'gate'
local testing = require 'testing'

function add(a, b) return a + b end
function echo(...) return ... end
function count(...) return select('#', ...) end

-- What arrived, as a text that tells all values apart.
list = testing.list

-- Answers after a while; other calls go on.
function later(seconds, ...)
  copas.pause(seconds)
  return ...
end

-- Calls that end when the test says so.
hold, holding, release = gate.hold, gate.holding, gate.release

-- Collects the server's garbage, and tells how many bytes Lua still holds.
function kilobytes()
  collectgarbage()
  collectgarbage()
  return collectgarbage('count')
end

-- Objects that the server has made; weakly, so that the collector takes them.
alive = setmetatable({}, {__mode = 'k'})

-- An object without anything, and how many objects are still there.
function make()
  local object = {}
  alive[object] = true
  return object
end

function living()
  collectgarbage()
  collectgarbage()
  local n = 0
  for _ in pairs(alive) do n = n + 1 end
  return n
end

-- Ends the server when the test has not done so.
copas.addthread(function()
  copas.pause(600)
  os.exit(3)
end)
