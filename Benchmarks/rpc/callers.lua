-- Coroutines that call `echo` with 32 bytes on one connection, each again when it has its answer.
--
--   callers.lua COROUTINES CALLS PORT    prints the calls and the seconds that they took

local copas = require 'copas'
local rpc = require 'rpc'
local socket = require 'socket'

local coroutines, calls, port = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])

copas(function()
  local peer = assert(rpc.newclient('127.0.0.1', port))
  local running = coroutines
  local function caller(number)
    local text = ('%032d'):format(number)
    for _ = 1, calls // coroutines do
      if peer:call('echo', text) ~= text then error 'a wrong answer' end
    end
    running = running - 1
    if running == 0 then peer:close() end
  end
  -- What is made once is not measured.
  for _ = 1, 1000 do peer:call('echo', 'x') end
  local start = socket.gettime()
  for i = 1, coroutines do copas.addthread(caller, i) end
  while running > 0 do copas.pause(0.005) end
  print(calls, socket.gettime() - start)
end)
