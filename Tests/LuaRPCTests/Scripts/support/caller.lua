-- A peer that calls a function with the argument 'key'.
--
--   caller.lua CONNECTION NAME
--
-- CONNECTION: a chunk that returns the arguments of `rpc.newclient`

local rpc = require 'rpc'

local peer = assert(rpc.newclient(assert(load(arg[1]))()))
peer:call(arg[2], 'key')
