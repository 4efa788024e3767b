-- A peer in a process of its own, outside the dispatcher: connects to PORT and runs SCRIPT with the
-- peer as its argument.
--
--   echo_peer.lua PORT SCRIPT

local rpc = require 'rpc'

function echo(...) return ... end
function fib(n)
  if n < 2 then return n end
  return peer:call('fib', n - 1) + peer:call('fib', n - 2)
end

peer = assert(rpc.newclient('localhost', tonumber(arg[1])))
assert(load(arg[2]))(peer)
