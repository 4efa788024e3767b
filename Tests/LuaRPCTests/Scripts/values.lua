-- Values there and back.

local copas = require 'copas'
local rpc = require 'rpc'
local T = require 'testing'
local test = T.test

function echo(...) return ... end
list = T.list

local function run()
  local server = assert(rpc.newserveronly('localhost', 0))
  local client = assert(rpc.newclient('localhost', (select(2, server:getsockname()))))
  local function returns(...)
    T.equal(T.list(client:call('echo', ...)), T.list(...))
    -- The text of what arrived: it did not just come back unread.
    T.equal(client:call('list', ...), T.list(...))
  end

  test('nil, booleans, strings', function()
    returns()
    returns(nil)
    returns(nil, true, false, nil, nil)
    returns('', 'a', 'a\0b\255\r\n')
    assert(client:call('echo', ('x'):rep(65534)) == ('x'):rep(65534))
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    returns(table.concat(bytes))
  end)

  test('integers and floats keep what they are', function()
    returns(0, 1, -1, 2147483647, -2147483648)
    returns(0.5, -1.5, 3.0, -0.0, 1e300, 5e-324, math.huge, -math.huge, 2.0 ^ 63)
    T.equal(math.type(client:call('echo', 3.0)), 'float')
    T.equal(1 / client:call('echo', -0.0), -math.huge)
    local nan = client:call('echo', 0/0)
    assert(nan ~= nan)
    -- Integers of more than 32 bits travel as floats, if that is exact.
    T.equal(client:call('echo', 1 << 31), 2.0 ^ 31)
    T.equal(client:call('echo', math.mininteger), -2.0 ^ 63)
    T.fails('the integer 9223372036854775807 has no exact form', client.call, client, 'echo',
      math.maxinteger)
  end)

  test('tables', function()
    returns({}, {1, 2, {3}}, {a = 1, ['b c'] = 2, [1.5] = 3, [true] = 4}, {[5] = 5, [-1] = 2})
    returns({1, nil, 3}, {{}, {{}}})
    T.equal(client:call('echo', setmetatable({1}, {__index = error, __pairs = error, __len = error})), {1})
    local keys = client:call('echo', {[{}] = 'v', [{1}] = 'w'})
    local found = {}
    for k, v in pairs(keys) do found[v] = k end
    T.equal(found, {v = {}, w = {1}})
    local large = {}
    for i = 1, 65534 do large[i] = i end
    assert(T.list(client:call('echo', large)) == T.list(large))
    large[65535] = 1
    T.fails('a table of 65535 pairs cannot be sent', client.call, client, 'echo', large)
    local deep = {}
    for _ = 1, 199 do deep = {deep} end
    local back, depth = client:call('echo', deep), 0
    while back do back, depth = back[1], depth + 1 end
    T.equal(depth, 200)
    T.fails('nested more than 200 deep', client.call, client, 'echo', {deep})
  end)

  test('shared tables and cycles', function()
    local t = {1}
    local a, b = table.unpack(client:call('echo', {t, t}))
    assert(a == b)
    t.me, t[t] = t, {t}
    local back = client:call('echo', t)
    assert(back.me == back and back[back][1] == back and back[1] == 1)
    local function f(x) return x end
    back = client:call('echo', {f, f, name = 'name', other = 'name'})
    assert(back[1] == back[2] and back.name == back.other)
    -- Each value of a message for itself.
    a, b = client:call('echo', t, t)
    assert(a ~= b)
    local deep = {}
    local at = deep
    for _ = 1, 100 do at.next = {top = deep} at = at.next end
    back = client:call('echo', deep)
    local count = 0
    at = back
    while at.next do at = at.next count = count + 1 assert(at.top == back) end
    T.equal(count, 100)
  end)

  test('many equal strings', function()
    local long, list = ('long'):rep(100), {}
    for i = 1, 1000 do list[i] = {short = 'short', long = long .. '', i = ('%d'):format(i % 10)} end
    T.equal(client:call('echo', list), list)
  end)

  -- Functions that end and begin in all sorts of ways.
  local o = {}
  function o:method(x) return type(self), x end
  function o.plain(...) return select('#', ...), ... end
  function o:alone() return type(self) end
  local one, two = function(x) return x + 1 end, function(x) return x + 2 end
  local function nested(n)
    local function inner(x) if x == 0 then return 'end' end return x end
    local result = {}
    for i = 0, n do result[#result + 1] = inner(i) end
    return result, [[function() end]], "end" -- end
  end
  local function globals(x) return type(print), math.max(x, 2), echo == nil end
  local loaded = load('local x = ... return x .. "!"', 'local x = ... return x .. "!"')

  test('functions travel as text', function()
    for _, case in ipairs{
      {o.method, '("number", 2)', 1, 2}, {o.plain, '(3, 1, nil, 3)', 1, nil, 3, n = 5},
      {o.alone, '("table")', {}}, {one, '(2)', 1}, {two, '(3)', 1},
      {nested, '({[1] = "end", [2] = 1}, "function() end", "end")', 1},
      {globals, '("function", 2, false)', 1}, {loaded, '("a!")', 'a'},
      {function() return 1 end, '(1)'}, {function() end, '()'},
      {function(...) local a <const>, b = ... return b, a end, '(2, 1)', 1, 2},
    } do
      local f = client:call('echo', case[1])
      local arguments = table.pack(table.unpack(case, 3, case.n or #case))
      T.equal(type(f), 'function')
      T.equal(T.list(f(table.unpack(arguments, 1, arguments.n))), case[2])
      T.equal(T.list(client:newexec(case[1])(table.unpack(arguments, 1, arguments.n))), case[2])
    end
    T.equal(client:eval 'echo'(5), 5)
  end)

  test('functions that cannot travel', function()
    T.fails("uses 'client' from outside", client.call, client, 'echo', function() return client end)
    T.fails('a C function cannot be sent', client.call, client, 'echo', print)
    local stripped = load(string.dump(one, true))
    T.fails('without source text', client.call, client, 'echo', stripped)
    T.fails('send_bytecode = true', client.call, client, 'echo', load('return 1', '=name'))
    -- A file that has changed since.
    local name = os.tmpname()
    local function write(text)
      local file = assert(io.open(name, 'w'))
      file:write(text)
      file:close()
    end
    write 'return function(x) return x * 2 end'
    local f = dofile(name)
    T.equal(client:newexec(f)(4), 8)
    write 'return function(x) return x * 3 end'
    T.fails('its source has changed', client.newexec, client, f)
    write 'return function(x) end, os.exit(1) --[[ return x * 2 end ]]'
    T.fails('its source has changed', client.newexec, client, f)
    os.remove(name)
    T.fails('cannot be read', client.newexec, client, f)
  end)

  client:close()
  server:close()
  T.finish()
end

copas(run)
