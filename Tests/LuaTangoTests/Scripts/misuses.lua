-- What proxies cannot do is an error where it is written, and spoils nothing.

local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'
local threads = require 'threads'

local test = threads.test
local server = processes.server()
local function connect(more)
  local configuration = {port = server.port}
  for name, value in pairs(more or {}) do configuration[name] = value end
  return tango.client.socket.connect(configuration)
end

test('an assignment', function()
  local con = connect()
  T.fails('con.variable(value) sets the remote variable, rawset(con, \'variable\', value)', function() con.variable = 5 end)
  con.variable(7)
  T.equal(con.variable(), 7)
  T.fails('con.a.b.c(value)', function() con.a.b.c = 5 end)
  T.fails('local_fields = true', function() con.a[1] = 5 end)
  T.fails('con.async_thing', function() con.async_thing = print end)
  T.fails('is not assigned to', function() con.async.x = 5 end)
  rawset(con, 'mine', 3)
  T.equal(con.mine, 3)
end)

test('local fields, as with the original', function()
  local con = connect{local_fields = true}
  con.mine = function(x) return x + 1 end
  con.math.mine = 5
  T.equal(con.mine(1), 2)
  T.equal(con.math.mine, 5)
  T.equal(con.add(1, 2), 3)
end)

test('counting and walking', function()
  local con = connect()
  con.numbers({1, 2, 3})
  T.fails('#con.numbers()', function() return #con.numbers end)
  T.fails('pairs(con.numbers())', function() pairs(con.numbers) end)
  T.fails('pairs(con.name())', function() pairs(con) end)
  T.fails('remote names are strings', function() ipairs(con.numbers)(con.numbers, 0) end)
  T.equal(#con.numbers(), 3)
  local sum = 0
  for _, value in pairs(con.numbers()) do sum = sum + value end
  T.equal(sum, 6)
end)

server:stop()
T.finish()
