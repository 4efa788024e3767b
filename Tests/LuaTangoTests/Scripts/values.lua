-- Every value that can be sent arrives as it was, and comes back as it was.

local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'
local test = T.test

local server = processes.server()
local con = tango.client.socket.connect{port = server.port}

-- The values arrive, which the server tells in a text, and they come back.
local function travels(...)
  T.equal(con.list(...), T.list(...), 'there')
  T.equal(T.list(con.echo(...)), T.list(...), 'back')
end

test('integers', function()
  for _, value in ipairs{0, 1, -1, 255, 1 << 31, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1} do
    travels(value)
  end
  travels(math.maxinteger, math.mininteger, math.maxinteger - 1, math.mininteger + 1)
end)

test('floats', function()
  travels(1.0, -1.0, 0.1, -2.5, 1e15, 1e16, 1e100, 1e-100, 5e-324, 2.2250738585072014e-308)
  travels(1.7976931348623157e308, 123456789.123456789, 3.141592653589793, 1 / 3, 2.0 ^ 53, 2.0 ^ 63)
end)

test('integers and floats stay what they are', function()
  T.equal(math.type(con.echo(1)), 'integer')
  T.equal(math.type(con.echo(1.0)), 'float')
  T.equal(math.type(con.echo(1e15)), 'float')
  T.equal(con.math.type(3), 'integer')
  T.equal(con.math.type(3.0), 'float')
end)

test('negative zero keeps its sign', function()
  T.equal(1 / con.echo(-0.0), -math.huge)
  T.equal(1 / con.echo(0.0), math.huge)
end)

test('infinities and NaN', function()
  travels(math.huge, -math.huge)
  local nan = con.echo(0 / 0)
  assert(nan ~= nan, 'NaN became something else')
  travels{math.huge, {-math.huge}, 0 / 0}
end)

test('booleans', function() travels(true, false) end)

test('nil in front, in the middle and at the end', function()
  travels(nil)
  travels(nil, nil, nil)
  travels(nil, 1)
  travels(1, nil, 3)
  travels(1, nil, nil, nil, nil, 6, nil)
  travels(1, nil)
  travels(false, nil, false, nil)
  T.equal(con.count(), 0)
  T.equal(con.count(nil), 1)
  T.equal(con.count(1, nil, 3, nil), 4)
  T.equal(select('#', con.echo()), 0)
  T.equal(select('#', con.echo(nil, nil)), 2)
end)

test('holes in tables', function()
  travels({nil, 2}, {1, nil, 3}, {1, nil}, {[3] = 3}, {nil, nil, {nil, 1}})
end)

test('strings with what has a meaning in Lua', function()
  travels('', '"', "'", '\'"', '\\', '\\\\', '\\n', '\n', '\r', '\r\n', '\n\r', '\0', '\0001', '\t')
  travels('a\\"b', "it's", '"""', "'''", '\\"', '[[x]]', ']]', '--', '${x}', '%d', '\226\130\172')
  travels('{', '}', '{}', '={', 'return 1', '"}', '\27[31m')
end)

test('strings of every byte', function()
  local bytes = {}
  for byte = 0, 255 do
    bytes[#bytes + 1] = string.char(byte)
    travels(string.char(byte), string.char(byte) .. '1', '1' .. string.char(byte))
  end
  travels(table.concat(bytes), table.concat(bytes):reverse())
end)

test('keys of every kind', function()
  travels{a = 1, _b = 2, c3 = 3, ['with space'] = 4, [''] = 5, ['1'] = 6, ['\n"\\\0\''] = 7}
  travels{[true] = 1, [false] = 2, [1.5] = 3, [-1] = 4, [0] = 5, [2 ^ 53] = 6, [math.huge] = 7}
  travels{[math.mininteger] = 1, [math.maxinteger] = 2, [1000000] = 3, [-math.huge] = 4}
  travels{10, 20, 30, x = 1, [5] = 50, [4.0] = 40}
end)

test('tables as keys', function()
  local back = con.echo{[{1, 2}] = 'x'}
  local key, value = next(back)
  T.equal({key, value}, {{1, 2}, 'x'})
end)

test('reserved words as keys', function()
  local words = {}
  for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
      return then true until while]]):gmatch('%a+') do
    words[word] = word
  end
  travels(words)
end)

test('nested tables', function()
  travels({}, {{}}, {{}, {{}}}, {a = {b = {c = {}}}}, {{1, {2, {3}}}, x = {y = {1, 2, z = {}}}})
  local deep = {}
  for _ = 1, 100 do deep = {deep} end
  travels(deep)
end)

test('a table that occurs twice', function()
  local shared = {1}
  T.equal(con.echo{shared, shared, {shared}}, {{1}, {1}, {{1}}})
end)

test('metatables stay at home, and no metamethod runs', function()
  local strange = setmetatable({1}, {
    __index = function() return 'made up' end,
    __pairs = function() error('must not run') end,
    __len = function() error('must not run') end,
  })
  T.equal(con.echo(strange), {1})
end)

test('a string of a megabyte', function()
  local text = ('0123456789abcde\n'):rep(1 << 16)
  assert(con.echo(text) == text, 'the text changed')
  T.equal(con.string.len(text), 1 << 20)
  local bytes = string.char(0, 34, 92, 10, 13, 255):rep(1 << 17)
  assert(con.echo(bytes) == bytes, 'the bytes changed')
end)

test('a thousand arguments and results', function()
  local values = {}
  for i = 1, 1000 do values[i] = i end
  T.equal(con.count(table.unpack(values)), 1000)
  T.equal({con.echo(table.unpack(values))}, values)
  for i = 2, 1000, 2 do values[i] = nil end
  T.equal(T.list(con.echo(table.unpack(values, 1, 1000))), T.list(table.unpack(values, 1, 1000)))
end)

test('more arguments than allowed are an error that tells the limit', function()
  local values = {}
  for i = 1, 10000 do values[i] = i end
  T.fails('8000', con.count, table.unpack(values))
  T.equal(con.count(1), 1)
end)

test('a table of a hundred thousand values', function()
  local values = {}
  for i = 1, 100000 do values[i] = i * 3 end
  T.equal(#con.echo(values), 100000)
  T.equal(con.echo(values)[77777], 233331)
end)

test('a function that returns nothing', function() T.equal(select('#', con.print()), 0) end)

server:stop()
T.finish()
