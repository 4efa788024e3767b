-- Our client, and a server as the original is one, under lua5.1.

local copas = require 'copas'
local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'

local server = processes.lua('5.1', 'support/original_server.lua')
server.port = tonumber(server:waitForOutput 'listening (%d+)\n')

local function run(how)
  local function test(name, f) T.test(name .. ', ' .. how, f) end
  local con = tango.client.socket.connect{port = server.port, timeout = 60}
  local function returns(...) T.equal(T.list(con.echo(...)), T.list(...)) end

  test('calls, variables, errors', function()
    T.equal(con.add(1, 2), 3)
    T.equal(con.data(), {x = 0, y = 3})
    con.x(4)
    T.equal(con.x(), 4)
    T.equal(T.fails(nil, con.customerror, {code = 117}), {code = 117})
    T.fails('testmessage', con.strerror)
    T.fails('tango server error "horst.dieter": no such variable', con.horst.dieter)
  end)

  test('references', function()
    local person = tango.ref(con.person, 'horst')
    person:name 'peter'
    T.equal(person:name(), 'peter')
    tango.unref(person)
    T.fails('invalid id', person.name, person)
  end)

  test('strings', function()
    for _, text in ipairs{'', '"', "'", '\'"', 'a\nb', 'a\rb', 'a\0b', 'a\0001', '\127\128\255'} do
      T.equal(con.hex(text), (text:gsub('.', function(c) return ('%02x'):format(c:byte()) end)))
    end
    returns('', "it's", 'say "hi"', 'a\nb', 'tab\t')
    -- What it answers has lost its backslashes; what we send arrives as it is.
    T.equal(con.hex '\\n\\', '5c6e5c')
  end)

  test('every byte', function()
    for byte = 0, 255 do
      T.equal(con.hex(string.char(byte) .. '1'), ('%02x31'):format(byte))
    end
  end)

  test('numbers, of which it has only floats', function()
    returns(1, -5, 123456789, 0.5, 1e15)
    T.equal(con.same(math.mininteger, -2 ^ 63), true)
    T.equal(con.same(1 << 53, 2.0 ^ 53), true)
    T.equal(con.same(0.1 + 0.2, 0.30000000000000004), true)
    T.equal(con.echo(1 / 0), 1 / 0)
    T.equal(con.echo(-1 / 0), -1 / 0)
    local nan = con.echo(0 / 0)
    assert(nan ~= nan, 'NaN became something else')
  end)

  test('nil in the middle', function()
    T.equal(T.list(con.echo(nil, 2, nil, 4)), T.list(nil, 2, nil, 4))
    T.equal(con.count(1, nil, 3), 3)
  end)

  test('tables', function()
    returns({}, {1, 2, {3}}, {a = 1, ['b c'] = 2, [1.5] = 3, [true] = 4}, {[5] = 5})
    T.equal(con.keys{['end'] = 1, ['goto'] = 2, ['while'] = 3}, 'end,goto,while')
  end)

  test('a large message', function()
    local text = ('0123456789abcde\n'):rep(60000)
    assert(con.echo(text) == text, 'the text changed')
  end)
end

run 'blocking'
-- The server has one client at a time; this one goes when it is collected.
collectgarbage()
collectgarbage()
copas.addthread(run, 'in a Copas thread')
copas.loop()

server:stop()
T.finish()
