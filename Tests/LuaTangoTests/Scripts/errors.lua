-- A fault in a call is an error for its caller alone; the connection goes on.

local processes = require 'processes'
local tango = require 'tango'
local T = require 'testing'

local server = processes.server('', [[
  function fail(...) error(...) end
  function thread() return coroutine.create(print) end
  function cyclic() local t = {} t.t = t return t end
  function mutual() local a, b = {}, {} a.b = b b.a = a return a end
  function deep(levels) local t = {} for i = 1, levels do t = {t} end return t end
  function recurse() return 1 + recurse() end
  function failWith(kind)
    if kind == 'object' then
      error(setmetatable({code = 7}, {__tostring = function() return 'an object' end}))
    elseif kind == 'function' then error(print)
    elseif kind == 'userdata' then error(io.stdout)
    elseif kind == 'cycle' then error(cyclic())
    end
  end
  function yield() coroutine.yield('out of the blue') return 'back' end
  function wrapped() return coroutine.wrap(function(a) return coroutine.yield(a) end)(5) end
  callable = setmetatable({}, {__call = function() return 1 end})
  guarded = setmetatable({}, {__index = function() error('must not run') end})
  list_of_functions = {print}
]])
local con = tango.client.socket.connect{port = server.port}

-- A test, after which the same connection must still work.
local function test(name, f)
  T.test(name, function()
    f()
    T.equal(con.add(1, 2), 3, 'afterwards')
  end)
end

test('a text, with the position where it was raised and that of the call', function()
  local message = T.fails('fell over', function() con.fail 'fell over' end)
  T.contains(message, 'errors.lua:')
  T.contains(message, 'errors.lua:' .. debug.getinfo(1, 'l').currentline - 2 .. ':')
end)

test('a text without a position gets that of the call only', function()
  local message = T.fails('plain', function() con.fail('plain', 0) end)
  assert(message:find '^[^:]*errors.lua:%d+: plain$', message)
end)

test('a table, a number, a boolean, nil', function()
  T.equal(T.fails(nil, con.fail, {code = 1, list = {1, 2}}), {code = 1, list = {1, 2}})
  T.equal(T.fails(nil, con.fail, 42), 42)
  T.equal(T.fails(nil, con.fail, false), false)
  T.equal(T.fails(nil, con.fail), nil)
end)

test('an object arrives as the table it is', function()
  T.equal(T.fails(nil, con.failWith, 'object'), {code = 7})
end)

test('an error value that cannot be sent is told', function()
  T.fails('a function cannot be serialized', con.failWith, 'function')
  T.fails('a userdata cannot be serialized', con.failWith, 'userdata')
  T.fails('a table that contains itself', con.failWith, 'cycle')
end)

test('results that cannot be sent', function()
  T.fails('tango server error "string.gmatch": a function cannot be serialized',
    con.string.gmatch, 'a', 'b')
  T.fails('tango server error "thread": a thread cannot be serialized', con.thread)
  T.fails('tango server error "io.tmpfile": a userdata cannot be serialized; use tango.ref',
    con.io.tmpfile)
  T.fails('tango server error "cyclic": a table that contains itself', con.cyclic)
  T.fails('tango server error "mutual": a table that contains itself', con.mutual)
  T.fails('nested more than', con.deep, 500)
  T.fails('a function cannot be serialized', con.list_of_functions)
  T.fails('cannot be serialized', con.string)
end)

test('arguments that cannot be sent', function()
  local cyclic = {}
  cyclic[1] = {cyclic}
  T.fails("tango: argument #1 of 'echo': a function cannot be serialized", con.echo, print)
  T.fails("argument #3 of 'nested.method.name': a thread cannot be serialized",
    con.nested.method.name, 1, {}, {coroutine.create(print)})
  T.fails("argument #2 of 'echo': a userdata cannot be serialized", con.echo, 1, io.stdout)
  T.fails("argument #1 of 'echo': a table that contains itself", con.echo, cyclic)
  T.fails("argument #1 of 'echo': a function cannot be serialized", con.echo, {[print] = 1})
end)

test('arguments that are too large', function()
  local small = tango.client.socket.connect{port = server.port, max_frame_bytes = 1000}
  T.fails('limit of 1000 bytes', small.echo, ('x'):rep(1000))
  T.fails('limit of 1000 bytes', small.echo, (table.pack(('x'):rep(1000):byte(1, -1))))
  T.equal(small.echo 'x', 'x')
end)

test('names that lead to nothing', function()
  T.equal(con.nosuch(), nil)
  T.fails('tango server error "nosuch.name": no such variable', con.nosuch.name)
  T.fails('tango server error "nosuch.name.deeper": no such variable', con.nosuch.name.deeper)
  T.fails('tango server error "data.x.y": no such variable', con.data.x.y)
  T.fails('tango server error "echo.x": no such variable', con.echo.x)
  T.fails('no such variable', con[''])
  T.fails('no such variable', con['...'])
end)

test('what only a metatable would offer is not there', function()
  T.equal(con.guarded.x(), nil)
  T.fails('no such variable', con.guarded.x.y)
end)

test('a name that is not a text', function()
  T.fails('remote names are strings, not number values', function() return con[1] end)
  T.fails('remote names are strings, not table values', function() return con[{}] end)
end)

test('the connection itself cannot be called', function()
  T.fails('the connection itself cannot be called', con)
end)

test('an error in the middle of C functions', function()
  T.fails('bad argument #1', con.math.sqrt, 'x')
  T.fails('bad argument #2', con.string.rep, 'x')
  T.fails('attempt to', con.table.sort, {1, 'x', {}})
end)

test('endless recursion', function() T.fails('stack overflow', con.recurse) end)

test('a table too large for the memory', function()
  T.fails('', con.string.rep, 'x', 1 << 62)
end)

test('coroutines within the function', function() T.equal(con.wrapped(), 5) end)

test('many errors in a row', function()
  for i = 1, 500 do T.equal(T.fails(nil, con.fail, {i}), {i}) end
end)

T.test('nothing was logged, because no peer broke the protocol', function()
  T.equal(server:errorText(), '')
end)

server:stop()
T.finish()
