-- The peer that a `newserver` with TLS waits for.
--
--   tls_partner.lua PORT SSLPARAMS
--
-- A client that says nothing connects first. Then both sides call at once, 20 threads each. The
-- server gives little time for the handshake, so a client that was too slow tries again.

local copas = require 'copas'
local rpc = require 'rpc'
local socket = require 'socket'

local port, parameters = tonumber(arg[1]), assert(load('return ' .. arg[2]))()

local function connected()
  for _ = 1, 6000 do
    local skt = socket.connect('localhost', port)
    if skt then return skt end
    socket.sleep(0.01)
  end
  error 'nobody listens'
end

function add(a, b) return a + b end
function echo(...) return ... end

local silent = connected()
copas(function()
  local peer
  repeat
    peer = rpc.newsession(connected(), {sslparams = parameters})
    local ok, one = pcall(peer.call, peer, 'echo', 1)
  until ok and one == 1
  local open = 20
  for i = 1, 20 do
    copas.addthread(function()
      local text = ('%d;'):format(i):rep(15000)
      for _ = 1, 5 do assert(peer:call('echo', text) == text) end
      open = open - 1
    end)
  end
  while open > 0 do copas.pause(0.001) end
  peer:call 'finish'
  silent:close()
  peer:close()
end)
