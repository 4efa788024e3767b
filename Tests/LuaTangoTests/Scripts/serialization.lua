-- Serialization of the program's own: JSON, pairs that fail, pairs that return something else.

local cjson = require 'cjson'
local copas = require 'copas'
local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'

local function connect(server, configuration)
  configuration = configuration or {}
  configuration.port = server.port
  return tango.client.socket.connect(configuration)
end

local function run(how)
  local function test(name, f) T.test(name .. ', ' .. how, f) end

  local json = processes.server [[
    serialize = require 'cjson'.encode, unserialize = require 'cjson'.decode]]
  local encode = {serialize = cjson.encode, unserialize = cjson.decode}
  local con = connect(json, encode)

  test('JSON on both sides', function()
    T.equal(con.add(1, 2), 3.0)
    T.equal({con.echo(1.5, 'x"\\\n', true, {a = {1, 2}})}, {1.5, 'x"\\\n', true, {a = {1.0, 2.0}}})
    T.equal(con.data(), {x = 0.0, y = 3.0})
    con.data.x(5)
    T.equal(con.data.x(), 5.0)
  end)

  test('errors in JSON', function()
    T.fails('testmessage', con.strerror)
    T.equal(T.fails(nil, con.customerror, {code = 'E7'}), {code = 'E7'})
    T.fails('tango server error "horst.dieter": no such variable', con.horst.dieter)
  end)

  test('references with JSON', function()
    local person = tango.ref(con.person, 'horst')
    person:name 'peter'
    T.equal(person:name(), 'peter')
    tango.unref(person)
    T.fails('invalid id', person.name, person)
  end)

  test('what JSON cannot carry', function()
    T.fails('function', con.echo, print)
    T.fails('function', con.string)
    T.equal(con.add(1, 2), 3.0)
  end)

  test('a request that is not JSON', function()
    local tangoText = connect(json)
    T.fails('bad answer', tangoText.add, 1, 2)
  end)
  json:stop()

  -- A server whose unserialize or serialize does what the request's text says.
  local odd = processes.server([[
    unserialize = function(text)
      if text:find 'unserialize_fails' then error('cannot read that') end
      if text:find 'unserialize_table' then error({code = 1}) end
      if text:find 'unserialize_nil' then return nil end
      if text:find 'unserialize_number' then return 5 end
      if text:find 'unserialize_empty' then return {} end
      if text:find 'unserialize_named' then return {echo = 1} end
      if text:find 'unserialize_pauses' then require 'copas'.pause(0.01) end
      return load('return ' .. text, 'request', 't', {})()
    end,
    serialize = function(message)
      local what = message[2]
      if what == 'serialize_fails' then error('cannot write that') end
      if what == 'serialize_nil' then return nil end
      if what == 'serialize_table' then return {} end
      if what == 'serialize_number' then return 5 end
      if what == 'serialize_always_fails' or alwaysFails then
        alwaysFails = what == 'serialize_always_fails'
        error('serialize_always_fails')
      end
      local parts = {}
      for i = 1, 3 do parts[i] = ('%q'):format(message[i]) end
      return '{' .. table.concat(parts, ',') .. '}'
    end]], '')
  local con = connect(odd)

  test("the server's unserialize fails", function()
    T.fails('cannot read that', con.echo, 'unserialize_fails')
    T.fails('', con.echo, 'unserialize_table')
    T.equal(con.add(1, 2), 3)
  end)

  test("the server's unserialize returns something else", function()
    T.fails('unserialize returned no table', con.echo, 'unserialize_nil')
    T.fails('unserialize returned no table', con.echo, 'unserialize_number')
    T.fails('does not begin with the name', con.echo, 'unserialize_empty')
    T.fails('does not begin with the name', con.echo, 'unserialize_named')
    T.equal(con.add(1, 2), 3)
  end)

  test("the server's unserialize waits", function()
    T.equal(con.echo 'unserialize_pauses', 'unserialize_pauses')
  end)

  test("the server's serialize fails, and is used for the error", function()
    T.fails('cannot write that', con.echo, 'serialize_fails')
    T.equal(con.add(1, 2), 3)
  end)

  test("the server's serialize returns no text", function()
    T.fails('serialize returned no string', con.echo, 'serialize_nil')
    T.fails('serialize returned no string', con.echo, 'serialize_table')
    T.fails('serialize returned no string', con.echo, 'serialize_number')
    T.equal(con.add(1, 2), 3)
  end)

  test("the server's serialize fails for its error, too", function()
    local other = connect(odd)
    T.fails('could not be serialized', other.echo, 'serialize_always_fails')
    T.fails('closed', other.add, 1, 2)
    T.equal(con.add(1, 2), 3)
    T.equal(#odd:errorLines(1), 1)
  end)
  odd:stop()

  local server = processes.server()

  test("the client's serialize fails", function()
    local fails = true
    local con = connect(server, {serialize = function(message)
      if fails then error('not now') end
      return ('{"add",%d,%d}'):format(message[2], message[3])
    end})
    T.fails('not now', con.add, 1, 2)
    fails = false
    T.equal(con.add(1, 2), 3)
  end)

  test("the client's serialize returns no text", function()
    for _, value in ipairs{5, {}, true, print} do
      local con = connect(server, {serialize = function() return value end})
      T.fails('serialize returned no string', con.add, 1, 2)
    end
    local con = connect(server, {serialize = function() end})
    T.fails('serialize returned no string', con.add, 1, 2)
  end)

  test("the client's unserialize fails", function()
    local reason = {code = 2}
    local con = connect(server, {unserialize = function() if reason then error(reason) end return {true, 3} end})
    T.equal(T.fails(nil, con.add, 1, 2), reason)
    reason = nil
    T.equal(con.add(1, 2), 3)
  end)

  test("the client's unserialize returns something else", function()
    for _, value in ipairs{5, 'x', true, print} do
      local con = connect(server, {unserialize = function() return value end})
      T.fails('unserialize returned no table', con.add, 1, 2)
    end
    local con = connect(server, {unserialize = function() return {} end})
    T.equal(T.fails(nil, con.add, 1, 2), nil)
    con = connect(server, {unserialize = function() return {true, nil, nil, 4} end})
    T.equal(T.list(con.add(1, 2)), T.list(nil, nil, 4))
    con = connect(server, {unserialize = function() return {true, [1e6] = 1, [-5] = 2, x = 3} end})
    T.equal(T.list(con.add(1, 2)), T.list())
  end)

  test('the message is a table as the original makes it', function()
    local seen
    local con = connect(server, {serialize = function(message)
      seen = message
      return '{"add",1,2}'
    end})
    con.some.name('a', nil, 3, nil)
    T.equal(seen, {'some.name', 'a', nil, 3})
  end)
  server:stop()
end

run 'blocking'
copas.addthread(run, 'in a Copas thread')
copas.loop()
T.finish()
