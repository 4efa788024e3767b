-- What the original's own test checks, anew: a blocking client and one inside Copas against servers
-- in another process.

local copas = require 'copas'
local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'
local test = T.test

local readWrite = processes.server()
local readOnly = processes.server 'write_access = false'
local writeOnly = processes.server 'read_access = false'

local function connect(server) return tango.client.socket.connect{port = server.port} end

local function run(how)
  local con = connect(readWrite)
  local function behaviour(name, f) test(name .. ', ' .. how, f) end

  behaviour('numbers are added', function() T.equal(con.add(1, 2), 3) end)

  behaviour('a table comes back', function()
    local value = {number = 444, name = 'horst', bool = true}
    T.equal(con.echo(value), value)
  end)

  behaviour('several results', function()
    T.equal({con.echo(1.234, true, {el = 11})}, {1.234, true, {el = 11}})
  end)

  behaviour('an error is a text with both positions', function()
    local message = T.fails('testmessage', function() con.strerror() end)
    T.contains(message, 'behaviours.lua:')
    T.contains(message, 'server.lua:')
  end)

  behaviour('an error is a table', function()
    T.equal(T.fails(nil, con.customerror, {code = 117}), {code = 117})
  end)

  behaviour('a nested name', function() T.equal(con.nested.method.name(), true) end)

  behaviour('tango.ref with io.popen', function()
    local pipe = tango.ref(con.io.popen, 'echo hello')
    T.equal(pipe:read('*a'), 'hello\n')
    pipe:close()
    tango.unref(pipe)
  end)

  behaviour('tango.ref with a table of methods', function()
    local person = tango.ref(con.person, 'horst')
    T.equal(person:name(), 'horst')
    person:name('peter')
    T.equal(person:name(), 'peter')
    tango.unref(person)
  end)

  behaviour('a number variable is made, read, and seen by the server', function()
    con.x(4)
    T.equal(con.x(), 4)
    T.equal(con.double_x(), 8)
  end)

  behaviour('a table variable is made, and changed inside', function()
    con.abc{sub = 'horst', tab = {}}
    con.abc.tab.num(1234)
    T.equal(con.abc(), {sub = 'horst', tab = {num = 1234}})
  end)

  behaviour('a name that leads nowhere is an error that has it', function()
    T.fails('tango server error "horst.dieter": no such variable', con.horst.dieter)
    T.fails('tango server error "add.dieter": no such variable', con.add.dieter)
  end)

  behaviour('without write_access variables are read', function()
    local con = connect(readOnly)
    T.equal(con.data(), {x = 0, y = 3})
    T.equal(con.data.y(), 3)
  end)

  behaviour('without write_access variables are not written', function()
    local con = connect(readOnly)
    T.fails('tango server error "data": no write_access', con.data, 33)
    T.fails('tango server error "data.x": no write_access', con.data.x, 33)
    T.fails('tango server error "new": no write_access', con.new, 33)
    T.equal(con.data(), {x = 0, y = 3})
    T.equal(con.add(1, 2), 3)
  end)

  behaviour('without read_access variables are not read', function()
    local con = connect(writeOnly)
    T.fails('tango server error "data": no read_access', con.data)
    T.fails('tango server error "data.x": no read_access', con.data.x)
  end)

  behaviour('without read_access variables are written', function()
    local con = connect(writeOnly)
    con.x(21)
    T.equal(con.double_x(), 42)
  end)
end

run 'blocking'
copas.addthread(run, 'in a Copas thread')
copas.loop()

for _, server in ipairs{readWrite, readOnly, writeOnly} do server:stop() end
T.finish()
