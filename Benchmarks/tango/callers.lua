-- Coroutines that call `echo` with 32 bytes on one connection, each again when it has its answer.
--
--   callers.lua BACKEND COROUTINES CALLS PORT    prints the calls and the seconds that they took;
--                                                0 coroutines: without the dispatcher, one call after the other

local socket = require 'socket'
local tango = require 'tango'

local backEnd, coroutines, calls, port = arg[1], tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4])

local function call(con, count)
  local text = ('x'):rep(32)
  for _ = 1, count do
    if con.echo(text) ~= text then error 'a wrong answer' end
  end
end

local function connect()
  return tango.client[backEnd].connect{
    address = '127.0.0.1', port = port, url = 'tcp://127.0.0.1:' .. port,
  }
end

if coroutines == 0 then
  local con = connect()
  local start = socket.gettime()
  call(con, calls)
  print(calls, socket.gettime() - start)
  return
end

local copas = require 'copas'
copas(function()
  local con = connect()
  local running = coroutines
  local start = socket.gettime()
  for _ = 1, coroutines do
    copas.addthread(function()
      call(con, calls // coroutines)
      running = running - 1
    end)
  end
  while running > 0 do copas.pause(0.005) end
  print(calls // coroutines * coroutines, socket.gettime() - start)
  os.exit()
end)
