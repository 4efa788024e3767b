-- MessagePack, JSON and tango's own text: as functions, and in the place of serialize and
-- unserialize.

local cjson = require 'cjson'
local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'
local test = T.test

local text, msgpack, json = tango.codec.tango, tango.codec.msgpack, tango.codec.json
local codecs = {tango = text, msgpack = msgpack, json = json}

test('they are modules, too', function()
  for name, codec in pairs(codecs) do T.equal(require('tango.codec.' .. name), codec, name) end
end)

test('values come back', function()
  local values = {1, -1, 2^31 | 0, math.maxinteger, math.mininteger, 1.5, -0.25, 3.0, 1e300, 'x', '',
    'a\n"\\\0\255', true, false, {}, {1, 2, 3}, {a = 1, b = {c = {}}}, {{{1}}},
    {'f', {n = 1, list = {1.5, 'x', false}}}}
  for name, codec in pairs(codecs) do
    for _, value in ipairs(values) do T.equal(codec.decode(codec.encode(value)), value, name) end
  end
  -- Only JSON's keys are strings.
  for _, value in ipairs{{[-1] = 'a', [2^53 | 0] = 'b'}, {1, 2, a = 3}, {[1.5] = true}, {[true] = 1}, {[1] = 1, [3] = 3}} do
    T.equal(text.decode(text.encode(value)), value)
    T.equal(msgpack.decode(msgpack.encode(value)), value)
  end
  T.equal(msgpack.decode(msgpack.encode(0/0)), 0/0)
  T.equal(msgpack.decode(msgpack.encode(math.huge)), math.huge)
end)

test('MessagePack of lists and maps', function()
  T.equal(msgpack.encode{1, 2}, '\x92\1\2')
  T.equal(msgpack.encode{}, '\x90')
  T.equal(msgpack.encode{a = 1}, '\x81\xa1a\1')
  T.equal(msgpack.encode{[2] = 1}, '\x81\2\1')
  T.equal(msgpack.encode(nil), '\xc0')
  T.equal(msgpack.encode{msgpack.null, 1}, '\x92\xc0\1')
  T.equal(T.list(msgpack.decode '\xc0'), '(nil)')
  T.equal(msgpack.decode '\x93\1\xc0\3', {[1] = 1, [3] = 3})
end)

test('JSON as lua-cjson has it', function()
  for _, value in ipairs{{}, {1, 2}, {a = 1}, {1, nil, 3}, {[2] = 1}, {[1.5] = 'x'}, {[-1] = 1}, true, 'x"\\\n\0', 12} do
    T.equal(cjson.decode(json.encode(value)), cjson.decode(cjson.encode(value)))
  end
  assert(json.null == cjson.null)
  T.equal(json.encode{cjson.null, {a = json.null}}, '[null,{"a":null}]')
  T.equal(json.encode{1, nil, 3}, '[1,null,3]')
  T.equal(json.encode(nil), 'null')
  assert(json.decode 'null' == cjson.null)
  assert(json.decode '[null]'[1] == cjson.null)
  assert(json.decode '{"a":null}'.a == cjson.null)
  for _, input in ipairs{'"\\u00e9\\ud83d\\ude00"', '[1.5,2e3,-4]', '{"a":{"b":[]}}', ' [ true , false ] '} do
    local function floats(value)
      if type(value) == 'number' then return value + 0.0 end
      if type(value) ~= 'table' then return value end
      local copy = {}
      for k, v in pairs(value) do copy[k] = floats(v) end
      return copy
    end
    T.equal(floats(json.decode(input)), cjson.decode(input))
  end
  -- What differs: integers stay integers, and keep all digits.
  T.equal(json.decode '[1,1.0]', {1, 1.0})
  T.equal(json.encode{2^53 | 0, 0.1, 1/3}, '[9007199254740992,0.1,0.3333333333333333]')
end)

test('what cannot be written', function()
  local cycle = {}
  cycle[1] = cycle
  local deep = {}
  for _ = 1, 200 do deep = {deep} end
  for _, codec in pairs(codecs) do
    T.fails('a function cannot be serialized', codec.encode, print)
    T.fails('a function cannot be serialized', codec.encode, {a = {print}})
    T.fails('a thread cannot be serialized', codec.encode, coroutine.create(print))
    T.fails('userdata cannot be serialized', codec.encode, io.stdout)
    T.fails('contains itself', codec.encode, cycle)
    T.fails('nested more than 128 deep', codec.encode, deep)
    T.fails('value expected', codec.encode)
    T.fails('string expected', codec.decode, 5)
    T.fails('string expected', codec.decode)
  end
  T.fails('an infinite number', json.encode, {1/0})
  T.fails('a number that is none', json.encode, 0/0)
  T.fails('a key that is a boolean', json.encode, {[true] = 1})
  T.fails('a key that is a table', json.encode, {[{}] = 1})
  T.fails('so many holes', json.encode, {[1] = 1, [1000] = 2})
end)

test('what cannot be read', function()
  T.fails("expected ',' or ']' at byte 2", json.decode, '[1')
  T.fails('expected a value at byte 0', json.decode, 'NaN')
  T.fails('expected the end', json.decode, '1 2')
  T.fails('the rest of a value', msgpack.decode, '\x92\1')
  T.fails('an extension', msgpack.decode, '\xd4\1\1')
  T.fails('a key other than nil', msgpack.decode, '\x81\xc0\1')
  T.fails('expected', text.decode, 'os.execute()')
  T.fails('nested tables', json.decode, ('['):rep(100000))
  T.fails('nested tables', msgpack.decode, ('\x91'):rep(100000))
  T.equal(json.decode(('['):rep(128) .. (']'):rep(128)) ~= nil, true)
end)

test('a large document', function()
  local list = {}
  for i = 1, 200000 do list[i] = {i, 'x' .. i, i / 7} end
  for name, codec in pairs(codecs) do
    local back = codec.decode(codec.encode(list))
    assert(#back == #list and back[199999][2] == 'x199999' and back[77][3] == 11.0, name)
  end
end)

-- Servers and clients, with the functions on both sides.
local function with(name, server, client, isNative)
  local con = tango.client.socket.connect{
    port = server.port, serialize = client.encode, unserialize = client.decode}

  test('calls, ' .. name, function()
    T.equal({con.echo(1, 'x', {a = {1, 2}}, true, 1.5)}, {1, 'x', {a = {1, 2}}, true, 1.5})
    T.equal(T.list(con.echo(1, nil, 3)), '(1, nil, 3)')
    if isNative then
      -- In a table, a list's end is lost with the nils there.
      T.equal(T.list(con.echo(nil, nil)), '(nil, nil)')
      T.equal(con.count(nil, nil, 1, nil), 4)
    end
    T.equal(con.count(), 0)
    T.equal(con.add(1, 2), 3)
    con.data.x(5)
    T.equal(con.data.x(), 5)
    T.fails('testmessage', con.strerror)
    T.equal(T.fails(nil, con.customerror, {code = 7}), {code = 7})
    T.fails('no such variable', con.horst.dieter)
    T.fails('a function cannot be serialized', con.string)
    T.fails((isNative and "argument #2 of 'echo': " or '') .. 'a function cannot be serialized', con.echo, 1, print)
    T.equal(con.add(1, 2), 3)
  end)

  test('references, ' .. name, function()
    local person = tango.ref(con.person, 'horst')
    T.equal(person:name(), 'horst')
    tango.unref(person)
    T.fails('invalid id', person.name, person)
  end)

  test('many in flight, ' .. name, function()
    local futures = {}
    for i = 1, 100 do futures[i] = con.async.echo{i} end
    for i = 1, 100 do T.equal(futures[i]:get(), {i}) end
  end)
end

for name in pairs(codecs) do
  local server = processes.server(("serialize = tango.codec.%s.encode, unserialize = tango.codec.%s.decode"):format(
    name, name), 'tango = require "tango"')
  with(name, server, codecs[name], true)
  -- The same functions hidden: they are called, and the bytes are the same kind.
  with(name .. ' by calls', server, {
    encode = function(message)
      local last = 0
      for k in pairs(message) do last = math.max(last, k) end
      local list = {}
      for i = 1, last do
        list[i] = message[i]
        if list[i] == nil then list[i] = json.null end
      end
      return name == 'tango' and text.encode(message) or codecs[name].encode(list)
    end,
    decode = function(bytes)
      local message = codecs[name].decode(bytes)
      for k, v in pairs(message) do if v == json.null then message[k] = nil end end
      return message
    end})
  test('a request in another format, ' .. name, function()
    for other, codec in pairs(codecs) do
      if other ~= name then
        local con = tango.client.socket.connect{
          port = server.port, serialize = codec.encode, unserialize = codec.decode}
        -- The answer, which says so, is in the server's.
        T.fails('bad answer', con.add, 1, 2)
      end
    end
    T.equal(server:isRunning(), true)
  end)
  server:stop()
end

test('one format there, another one back', function()
  local server = processes.server('serialize = tango.codec.json.encode, unserialize = tango.codec.msgpack.decode',
    'tango = require "tango"')
  local con = tango.client.socket.connect{
    port = server.port, serialize = msgpack.encode, unserialize = json.decode}
  T.equal({con.echo(1, {a = 2})}, {1, {a = 2}})
  server:stop()
end)

test('lua-cjson on the other side', function()
  local server = processes.server('serialize = tango.codec.json.encode, unserialize = tango.codec.json.decode',
    'tango = require "tango"')
  local con = tango.client.socket.connect{port = server.port, serialize = cjson.encode, unserialize = cjson.decode}
  T.equal(con.add(1, 2), 3.0)
  T.fails('testmessage', con.strerror)
  server:stop()
  server = processes.server "serialize = require 'cjson'.encode, unserialize = require 'cjson'.decode"
  con = tango.client.socket.connect{port = server.port, serialize = json.encode, unserialize = json.decode}
  T.equal(con.add(1, 2.5), 3.5)
  T.fails('testmessage', con.strerror)
  server:stop()
end)

test('a limit counts what is nested, and values, in every format', function()
  for name, codec in pairs(codecs) do
    local server = processes.server(
      ('serialize = tango.codec.%s.encode, unserialize = tango.codec.%s.decode, '
        .. 'max_depth = 5, max_values = 100, max_frame_bytes = 2000')
      :format(name, name), 'tango = require "tango"')
    local con = tango.client.socket.connect{port = server.port, serialize = codec.encode, unserialize = codec.decode}
    T.fails('nested tables', con.echo, {{{{{{}}}}}})
    local many = {}
    for i = 1, 120 do many[i] = i end
    T.fails('at most 100 values', con.echo, many)
    T.fails('larger than the limit of 2000 bytes', con.string.rep, 'x', 3000)
    T.equal(con.add(1, 2), 3)
    server:stop()
  end
end)

T.finish()
