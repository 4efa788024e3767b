-- tango.ref and tango.unref: objects that stay on the server.

local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'
local test = T.test

local server = processes.server('max_references = 20', [[
  function make(...)
    local object = {values = {...}}
    alive[object] = true
    function object:get(i) return self.values[i] end
    function object:all() return table.unpack(self.values) end
    function object:fail() error('the method fell over') end
    function object:failWith(value) error(value) end
    function object:itself() return self == object end
    function object:slow(seconds) later(seconds) return 'slow' end
    function object:child(...) return make(...) end
    object.variable = 5
    object.part = {name = function() return 'part' end}
    return object
  end
  function nothing() end
  shared = make('shared')
  derived = setmetatable({}, {__index = shared})
]])
local function connect() return tango.client.socket.connect{port = server.port} end
local con = connect()

test('a method with arguments and results', function()
  local object = tango.ref(con.make, 'a', nil, 3)
  T.equal(object:get(1), 'a')
  T.equal(T.list(object:all()), T.list('a', nil, 3))
  T.equal(object:itself(), true)
  tango.unref(object)
end)

test('a file: userdata with methods', function()
  local name = os.tmpname()
  local file = tango.ref(con.io.open, name, 'w+')
  T.equal(file:setvbuf 'full', true)
  T.equal(file:seek('set', 3), 3)
  T.fails('a userdata cannot be serialized', file.write, file, 'one\ntwo\n')
  T.equal(file:seek 'set', 0)
  T.equal({file:read('l', 'l')}, {'\0\0\0one', 'two'})
  os.remove(name)
  file:close()
  tango.unref(file)
end)

test('a pipe, as in the tutorial', function()
  local pipe = tango.ref(con.io.popen, 'printf "a\\nb\\n"')
  T.equal({pipe:read 'l', pipe:read 'l', pipe:read 'l'}, {'a', 'b'})
  pipe:close()
  tango.unref(pipe)
end)

test('a variable instead of a function', function()
  local shared = tango.ref(con.shared)
  T.equal(shared:get(1), 'shared')
  tango.unref(shared)
  T.equal(con.shared.variable(), 5)
end)

test('a method that the object inherits', function()
  local derived = tango.ref(con.derived)
  T.equal(derived:get(1), 'shared')
  tango.unref(derived)
end)

test('two references to one object', function()
  local a, b = tango.ref(con.shared), tango.ref(con.shared)
  assert(a.id ~= b.id, 'both have one id')
  tango.unref(a)
  T.equal(b:get(1), 'shared')
  tango.unref(b)
end)

test('an error in a method', function()
  local object = tango.ref(con.make)
  T.fails('the method fell over', object.fail, object)
  T.equal(T.fails(nil, object.failWith, object, {code = 3}), {code = 3})
  tango.unref(object)
end)

test('a method that is not there, or no function', function()
  local object = tango.ref(con.make)
  T.fails("no method 'nosuch'", object.nosuch, object)
  T.fails("no method '__index'", object.__index, object)
  T.fails("no method '__gc'", object.__gc, object)
  tango.unref(object)
end)

test('fields', function()
  local object = tango.ref(con.make)
  T.equal(object:variable(), 5)
  object:variable(6)
  T.equal(object:variable(), 6)
  object:variable 'text'
  T.equal(object:variable(), 'text')
  T.equal(object:values(), {})
  tango.unref(object)
  local closed = processes.server('read_access = false, write_access = false',
    'object = {variable = 5, get = function(self) return self.variable end}\n'
      .. 'function make() return object end')
  local other = tango.ref(tango.client.socket.connect{port = closed.port}.make)
  T.fails('no read_access', other.variable, other)
  T.fails('no write_access', other.variable, other, 6)
  T.equal(other:get(), 5)
  closed:stop()
end)

test('what a method or field gives, as a reference', function()
  local object = tango.ref(con.make)
  local child = tango.ref(object.child, 'a', 'b')
  T.equal(child:get(2), 'b')
  local grandchild = tango.ref(child.child, 'c')
  T.equal(grandchild:get(1), 'c')
  local part = tango.ref(object.part)
  T.equal(part:name(), 'part')
  T.fails('tango.ref proxy did not create table nor userdata', tango.ref, object.get, 1)
  T.fails('the method fell over', tango.ref, object.fail)
  T.fails("no method 'nosuch'", tango.ref, object.nosuch)
  for _, reference in ipairs{object, child, grandchild, part} do tango.unref(reference) end
  T.fails('tango.ref invalid id', tango.ref, object.child)
end)

test('references that are collected', function()
  T.equal(con.living(), 1)
  for _ = 1, 10 do
    for i = 1, 15 do tango.ref(con.make, i) end
    collectgarbage()
    collectgarbage()
  end
  T.equal(con.living(), 1)
  -- The answers to these releases belong to no call.
  T.equal({con.echo(1, 2)}, {1, 2})
end)

test('the way out of what is exposed', function()
  local closed = processes.server("functab = exposed", [[
    local secret = {open = function() return 'secret' end}
    exposed = {f = function() end, text = 'x', sub = setmetatable({a = 1}, {__index = secret, __call = secret.open})}
    setmetatable(exposed, {__index = _G, secret = secret})
  ]])
  local con = tango.client.socket.connect{port = closed.port}
  T.equal(con.sub.a(), 1)
  for _, path in ipairs{'os.execute', 'sub.open', 'sub.__index.open', 'text.format', 'text.len',
      'f.x', '_G.os.execute', 'tango.refs', 'tango', 'tango.server.copas_socket.loop',
      'package.loaded.os.execute', 'sub...open', '..', '.', '', 'sub.a.b', 'getmetatable',
      '__index.os', 'string.format', 'debug.getregistry', 'tango.ref_create.x'} do
    -- A name that is not there is nil, as every variable that was not set.
    local name = con
    for part in path:gmatch '[^.]+' do name = name[part] end
    local ok, result = true, nil
    if name ~= con then ok, result = pcall(name) end
    assert(not ok or result == nil, path .. ' gave ' .. tostring(result))
  end
  -- What the proxies cannot say, a client can.
  for _, path in ipairs{'sub..open', '.os.execute', 'sub.open.', 'sub\0open', 'sub/open', 'sub:open',
      'sub open', 'os.execute', 'sub.__call', 'text.rep'} do
    local ok, result = pcall(con.tango.ref_create, path)
    assert(not ok, path .. ' gave ' .. tostring(result))
  end
  closed:stop()
end)

test('10,000 references, taken and abandoned', function()
  local before = con.living()
  local many = processes.server()
  local other = tango.client.socket.connect{port = many.port}
  local hold = {}
  for i = 1, 10000 do hold[i] = tango.ref(other.make) end
  T.equal(other.living(), 10000)
  T.fails('the connection holds 10000 references already', tango.ref, other.make)
  hold = nil
  collectgarbage()
  collectgarbage()
  T.equal(other.living(), 0)
  for _ = 1, 10000 do tango.ref(other.make) end
  -- Abandoned with the connection: the server has them, until that ends.
  tango.close(other)
  other = tango.client.socket.connect{port = many.port}
  processes.waitFor('the objects to go', function() return other.living() == 0 end)
  many:stop()
  T.equal(con.living(), before)
end)

test('what is neither table nor userdata', function()
  for _, proxy in ipairs{con.nothing, con.math.pi, con.os.getenv} do
    T.fails('', tango.ref, proxy, 'HOME')
  end
  T.fails('tango.ref proxy did not create table nor userdata', tango.ref, con.nothing)
  T.fails('tango.ref proxy did not create table nor userdata', tango.ref, con.math.sqrt, 4)
end)

test('an error of the function', function()
  T.fails('bad argument', tango.ref, con.math.sqrt, 'x')
  T.fails('no such variable', tango.ref, con.nosuch.name)
end)

test('misuse on the client', function()
  local object = tango.ref(con.make)
  T.fails('tango proxy expected', tango.ref)
  T.fails('tango proxy expected', tango.ref, 1)
  T.fails('tango proxy expected', tango.ref, print)
  T.fails('tango proxy expected', tango.ref, {})
  T.fails('tango proxy expected', tango.ref, object)
  T.fails('the connection itself cannot be called', tango.ref, con)
  for _, wrong in ipairs{1, 'x', {}, print, con, con.make, setmetatable({}, {})} do
    T.fails('reference expected', tango.unref, wrong)
  end
  T.fails('reference expected', tango.unref)
  T.fails('reference expected', function() object.get() end)
  T.fails('reference expected', function() object.get({}) end)
  tango.unref(object)
end)

test('a released reference', function()
  local object = tango.ref(con.make)
  tango.unref(object)
  T.fails('tango.ref invalid id', object.get, object, 1)
  tango.unref(object)
end)

test('the server lets go of what is released', function()
  T.equal(con.living(), 1)
  local object = tango.ref(con.make)
  T.equal(con.living(), 2)
  tango.unref(object)
  T.equal(con.living(), 1)
end)

test('ids of other connections, and made up ones', function()
  local object, other = tango.ref(con.make, 1), connect()
  T.fails('tango.ref invalid id', other.tango.ref_call, object.id, 'get', 1)
  other.tango.ref_release(object.id)
  T.equal(object:get(1), 1)
  for _, id in ipairs{'', 'table: 0x1234', ('0'):rep(32), ('x'):rep(100000), 1, {}, true} do
    T.fails('tango.ref invalid id', con.tango.ref_call, id, 'get')
    con.tango.ref_release(id)
  end
  T.fails('tango.ref invalid id', con.tango.ref_call)
  T.fails('no method name', con.tango.ref_call, object.id)
  T.fails("no method '5'", con.tango.ref_call, object.id, 5)
  T.fails('no method', con.tango.ref_call, object.id, nil, 5)
  con.tango.ref_release()
  tango.unref(object)
end)

test('the functions behind it, misused', function()
  T.fails('does not begin with the name', con.tango.ref_create)
  T.fails('does not begin with the name', con.tango.ref_create, 5)
  T.fails('tango.ref of tango.ref', con.tango.ref_create, 'tango.ref_create', 'make')
  T.fails('no such variable', con.tango.ref_create, '')
end)

test('more references than allowed', function()
  local objects = {}
  for i = 1, 20 do objects[i] = tango.ref(con.make, i) end
  T.fails('the connection holds 20 references already', tango.ref, con.make)
  T.equal(objects[20]:get(1), 20)
  tango.unref(objects[7])
  objects[7] = tango.ref(con.make, 'new')
  T.equal(objects[7]:get(1), 'new')
  local other = tango.ref(connect().make, 'other')
  T.equal(other:get(1), 'other')
  for _, object in ipairs(objects) do tango.unref(object) end
end)

test('the server lets go of all when the connection ends', function()
  do
    local other = connect()
    for i = 1, 10 do tango.ref(other.make, i) end
  end
  collectgarbage()
  collectgarbage()
  processes.waitFor('the objects to go', function() return con.living() == 1 end)
end)

server:stop()
T.finish()
