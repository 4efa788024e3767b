-- Objects that stay where they are.

local copas = require 'copas'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

local class = {}
class.__index = class
function class:name(new)
  if new then self._name = new end
  return self._name
end
function class:friend(name) return setmetatable({_name = name}, class) end
function class:friends() return class:friend 'a', 'text', class:friend 'b' end
function class:same(other) return rawequal(self, other) end
function class:fail() error('failed', 0) end
function class:wait() copas.pause(0.01) return 'waited' end

function person(name) return class:friend(name) end
function name(object) return object._name end
function kind(object) return type(object) end
function identity(object) return object end

rpc.signature('person', '#person')
rpc.signature('#person', 'friend', '#person')
rpc.signature('#person', 'friends', {'#person', false, '#person'})

local function pair()
  local l = assert(socket.bind('127.0.0.1', 0))
  local a = assert(socket.connect('127.0.0.1', (select(2, l:getsockname()))))
  local b = assert(l:accept())
  l:close()
  return rpc.newsession(a), rpc.newsession(b)
end

local function run()
  local client, server = pair()

  test('methods', function()
    local horst = client:call('person', 'horst')
    T.equal(type(horst), 'userdata')
    T.contains(tostring(horst), '<remote ')
    T.equal(horst:name(), 'horst')
    T.equal(horst:name 'peter', 'peter')
    T.equal(client:call('name', horst), 'peter')
    T.equal(client:invoke(horst, 'name'), 'peter')
    T.equal(horst:wait(), 'waited')
    T.fails('Error in remote call:\nfailed', horst.fail, horst)
    T.fails('attempt to call a nil value', horst.nothing, horst)
    T.equal(horst[1], nil)
    T.fails('with a colon', horst.name)
  end)

  test('results of methods', function()
    local horst = client:call('person', 'horst')
    local anna = horst:friend 'anna'
    T.equal(anna:name(), 'anna')
    local a, text, b = anna:friends()
    T.equal({a:name(), text, b:name()}, {'a', 'text', 'b'})
  end)

  test('an object is the same wherever it is', function()
    local horst = client:call('person', 'horst')
    T.equal(client:call('identity', horst) == horst, true)
    T.equal(horst:same(horst), true)
    T.equal(horst:same(client:call('person', 'horst')), false)
    -- Once it is known it is sent by reference, whichever function returns it.
    known = nil
    keep = function(object) known = object end
    client:call('keep', horst)
    T.equal(client:eval 'known' == horst, true)
    T.equal(server:call('kind', known), 'userdata')
  end)

  test('require', function()
    local string = client:call('require', 'string')
    T.equal(client:call('require', 'string') == string, true)
    T.equal(client:call('kind', string), 'table')
  end)

  test('what cannot be', function()
    local horst = client:call('person', 'horst')
    T.fails('argument #1[1] of', client.call, client, 'kind', {horst})
    T.fails('a remote object of another connection', server.call, server, 'kind', horst)
    T.fails('remote object expected', client.invoke, client, {}, 'name')
    T.fails('a method can be called of an object of this side', client.call, client, '__rpcinvoke',
      'text', 'rep', 1000)
    T.fails('a method can be called of an object of this side', client.call, client, '__rpcinvoke',
      {}, 'rep')
    T.fails('string expected', rpc.signature, nil)
    T.fails('string or table of strings expected', rpc.signature, 'f', 5)
  end)

  test('a signature from the other side', function()
    function late() return class:friend 'late' end
    T.equal(type(client:call 'late'), 'table')
    client:remsignature('late', '#person')
    T.equal(type(client:call 'late'), 'userdata')
  end)

  test('objects are held as long as the connection is open', function()
    local weak = setmetatable({}, {__mode = 'v'})
    person = function() weak[1] = class:friend 'weak' return weak[1] end
    local a, b = pair()
    local proxy = a:call 'person'
    collectgarbage()
    assert(weak[1])
    T.equal(proxy:name(), 'weak')
    a:close()
    T.equal(T.list(proxy:name()), T.list(nil, 'closed'))
    copas.pause(0.01)
    b:close()
    collectgarbage()
    collectgarbage()
    T.equal(weak[1], nil)
  end)

  test('not more than the limit', function()
    person = function(name) return class:friend(name) end
    local s = assert(rpc.newserveronly('localhost', 0, {max_references = 3}))
    local a = assert(rpc.newclient('localhost', (select(2, s:getsockname()))))
    for _ = 1, 3 do a:newexec 'return 1' end
    T.fails('holds 3 scripts already (max_references)', a.newexec, a, 'return 1')
    a:close()
    s:close()
  end)

  client:close()
  T.finish()
end

copas(run)
