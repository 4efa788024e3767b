-- A tango client, as a program has it: one of several short ones, whose results it prints.
--
--   customer.lua PORT NAME

local cjson = require 'cjson'
local tango = require 'tango'
local T = require 'testing'

local configuration = {address = 'localhost', port = tonumber(arg[1])}
local con = not arg[2]:find 'json' and tango.client.socket.connect(configuration)

-- The first line of a command's output, read by the methods of a pipe, which may be at the other
-- end.
local function firstLine(pipe)
  local line = pipe:read '*l'
  pipe:close()
  return line
end

local programs = {}

function programs.buy() return con.sell('mate', 2) end

-- Functions that the server's program has not written are offered, too.
function programs.useLua()
  con.print('from', 'afar', 1)
  con.os.execute 'sleep 1'
  return con.math.sqrt(4)
end

function programs.readVariable() return con.stock() end

function programs.writeVariable()
  local stock = con.stock()
  stock[#stock + 1] = 'bombilla'
  con.stock(stock)
end

function programs.clearVariable() con.stock {} end

function programs.localPipe() return firstLine(io.popen 'ls') end

function programs.remotePipe()
  local pipe = tango.ref(con.io.popen, 'ls')
  local line = firstLine(pipe)
  tango.unref(pipe)
  return line
end

function programs.pipeAfterRelease()
  local pipe = tango.ref(con.io.popen, 'ls')
  tango.unref(pipe)
  return pcall(pipe.read, pipe)
end

function programs.sqrt() return con.sqrt(4) end

function programs.nestedSqrt() return pcall(con.math.sqrt, 4) end

function programs.json()
  configuration.serialize, configuration.unserialize = cjson.encode, cjson.decode
  local client = tango.client.socket.connect(configuration)
  return client.math.sqrt(4), client.stock()
end

print(T.list(programs[arg[2]]()))
