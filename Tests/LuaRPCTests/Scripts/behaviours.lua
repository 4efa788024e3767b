-- The cases of the original's own test (luafwk/tests/rpc.lua), between two peers of one program
-- that call each other in the dispatcher, and over a server for many.

local copas = require 'copas'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

-- Two connected peers; the server's is made as the original's test does, in a thread of its own.
local function pair()
  local port = require 'processes'.freePort()
  local server, reason
  local _ = copas.addthread(function() server, reason = rpc.newserver('localhost', port) end)
  local client = assert(rpc.newclient('localhost', port))
  while not server and not reason do copas.pause(0.001) end
  return client, assert(server, reason)
end

local function run()
  local client, server = pair()

  test('peers are tables with their socket', function()
    T.equal(type(client), 'table')
    T.equal(type(server), 'table')
    T.contains(tostring(client.skt), 'tcp{client}')
    T.contains(tostring(client), 'rpc.session: 127.0.0.1:')
    T.equal(require 'rpc' == _G.rpc, true)
  end)

  test('print returns nothing', function()
    local printed = {}
    local original = print
    print = function(text) printed[#printed + 1] = text end
    local list = T.list(client:call('print', 'hello from client'))
    local other = T.list(server:call('print', 'hello from server'))
    print = original
    T.equal({list, other}, {'()', '()'})
    T.equal(printed, {'hello from client', 'hello from server'})
  end)

  test('eval', function()
    for _, value in ipairs{1, 'Some String', {t = {1, 2, 3}, 'a', 'b', 'c'}, 1.5, true} do
      variable = value
      T.equal(client:eval 'variable', value)
    end
    variable = nil
    T.equal(T.list(client:eval 'variable'), '(nil)')
    T.equal(T.list(client:eval 'no.such.variable'), '(nil)')
    structure = {name = {[3] = 'three', ['3'] = 'text'}}
    T.equal(client:eval 'structure.name.3', 'three')
    T.equal(client:eval '.structure..name.3.', 'three')
    T.fails('string expected', client.eval, client)
    T.fails('Error in remote call:\n', client.call, client, '__rpceval')
  end)

  test('newexec of a text', function()
    local f = client:newexec 'return ... + 1'
    T.equal(type(f), 'function')
    T.equal(f(1), 2)
    T.equal(f(42), 43)
    T.fails('Error in remote call:\nrpc:1: hi', client:newexec "error('hi')")
    T.fails('Error in remote call:\nrpc:1: ', client.newexec, client, 'this is no Lua')
    T.equal(T.list(client:newexec 'return ...' (nil, 1, nil)), '(nil, 1, nil)')
  end)

  test('newexec of pieces', function()
    local f = client:newexec{'return', ' ... + 1'}
    T.equal(f(1), 2)
    T.equal(f(42), 43)
    T.fails('piece 2 of the script is a boolean', client.newexec, client, {'return', true})
    T.equal(T.list(client:newexec{}()), '()')
  end)

  test('newexec of a function', function()
    local function g(x) return x+1 end
    local f = client:newexec(g)
    T.equal(f(1), 2)
    T.equal(f(42), 43)
    local y, z = 1, 2
    function g(x) return x+y+z end
    T.fails("RPC function exec must not have up values: a function that uses 'y', 'z' from outside",
      client.newexec, client, g)
    T.fails('a C function cannot be sent', client.newexec, client, print)
    T.fails('string, table of strings or function expected', client.newexec, client, 5)
    T.fails('string, table of strings or function expected', client.newexec, client)
  end)

  test('an unknown script', function()
    T.fails('Error in remote call:\nUndefined exec call', client.call, client, '__rpcrunexec', 99)
    T.fails('Undefined exec call', client.call, client, '__rpcrunexec')
    T.fails('Undefined exec call', client.call, client, '__rpcrunexec', 'x')
  end)

  test('call', function()
    local called
    _G.f = function() called = true end
    T.equal(T.list(client:call 'f'), '()')
    T.equal(called, true)
    _G.f = function(a, b, c, d, e) called = c or a .. b .. d .. e end
    client:call('f', 'Hello', ' ', nil, 'there', '!')
    T.equal(called, 'Hello there!')
    _G.f = function() return 'a', nil, 'three' end
    T.equal(T.list(client:call 'f'), T.list('a', nil, 'three'))
    _G.f = function(...) return select('#', ...) end
    -- The original loses trailing nils.
    T.equal(client:call('f', 1, nil), 2)
    T.equal(client:call('f', nil), 1)
    T.equal(client:call('f', 1, nil, nil, 4, nil), 5)
    _G.f = function() return nil, nil end
    T.equal(T.list(client:call 'f'), '(nil, nil)')
  end)

  test('errors', function()
    _G.f = function(...) error(...) end
    T.equal(T.fails(nil, client.call, client, 'f', {'some error'}), {'some error'})
    T.equal(T.fails(nil, client.call, client, 'f', 'text', 0), 'Error in remote call:\ntext')
    T.equal(T.fails(nil, client.call, client, 'f', 42), 42)
    T.equal(T.fails(nil, client.call, client, 'f', false), false)
    local ok, reason = pcall(client.call, client, 'f')
    T.equal({ok, reason}, {false, nil})
    T.fails('Not implemented', client.call0, client, 'f')
  end)

  test('no such function, no function', function()
    T.equal(T.list(client:call 'rpc.RPCxUnitCallxxx'), T.list(nil, 'function not existing'))
    T.equal(T.list(client:call 'no.such.path'), T.list(nil, 'function not existing'))
    T.equal(T.list(client:call 'print.x'), T.list(nil, 'function not existing'))
    variable = 1
    T.equal(T.list(client:call 'variable'), T.list(nil, 'not a function'))
    T.equal(T.list(client:call ''), T.list(nil, 'not a function'))
    variable = setmetatable({}, {__call = print})
    T.equal(T.list(client:call 'variable'), T.list(nil, 'not a function'))
    T.fails('string expected, got no value', client.call, client)
    T.fails('string expected, got number', client.call, client, 5)
    T.fails('rpc peer expected', client.call, {}, 'f')
    T.fails('rpc peer expected', client.call, nil, 'f')
  end)

  test('an argument that cannot be sent says which', function()
    T.fails("argument #1 of 'f': a userdata cannot be sent", client.call, client, 'f', io.stdout)
    T.fails("argument #2.a[2] of 'f': a userdata", client.call, client, 'f', 1, {a = {1, io.stdout}})
    T.fails('argument #1["x y"][true] of', client.call, client, 'f', {['x y'] = {[true] = io.stdout}})
    T.fails("argument #1[a userdata] of 'f': in a key: a userdata", client.call, client, 'f', {[io.stdout] = 1})
    T.fails("argument #1 of 'f': the integer 9007199254740993 has no exact form", client.call, client,
      'f', 2^53 | 1)
    T.fails('a string of 65535 bytes', client.call, client, 'f', ('x'):rep(65535))
  end)

  test('close before a call', function()
    local c, s = pair()
    c.skt:close()
    T.equal(T.list(c:call 'print'), T.list(nil, 'closed'))
    T.equal(T.list(s:eval 'print'), T.list(nil, 'closed'))
    T.equal(T.list(s:newexec 'return'), T.list(nil, 'closed'))
    c:close()
    c:close()
    s:close()
  end)

  test('close in the middle of a call, on either side', function()
    for _, closer in ipairs{'caller', 'called', 'socket'} do
      local c, s = pair()
      _G.f = function() copas.pause(100) end
      local results
      local start = socket.gettime()
      copas.addthread(function() results = T.list(s:call 'f') end)
      copas.pause(0.01)
      if closer == 'caller' then s:close() elseif closer == 'called' then c:close() else c.skt:close() end
      while not results do copas.pause(0.001) end
      T.equal(results, T.list(nil, 'closed'))
      assert(socket.gettime() - start < 50, 'not at once')
      c:close()
      s:close()
    end
  end)

  test('a server for many', function()
    for _, name in ipairs{'newmultiserver', 'newserveronly'} do
      local s = assert(rpc[name]('*', 0, {functab = {variable = 1, f = function() return 7 end}}))
      T.contains(tostring(s), 'tcp{server}')
      local _, port = s:getsockname()
      local a, b = assert(rpc.newclient(nil, port)), assert(rpc.newclient('localhost', port))
      T.equal({a:eval 'variable', b:eval 'variable', b:call 'f'}, {1, 1, 7})
      T.equal(T.list(a:call 'print'), T.list(nil, 'function not existing'))
      T.equal(T.list(rpc.newserver('localhost', port)), T.list(nil, 'address already in use'))
      s:close()
      a.skt:close()
      T.equal(b:call 'f', 7)
      b:close()
      T.equal(T.list(rpc.newclient('localhost', port)), T.list(nil, 'connection refused'))
    end
  end)

  test('a session on a socket that was connected before', function()
    local l = assert(socket.bind('127.0.0.1', 0))
    local _, port = l:getsockname()
    local a = assert(socket.connect('127.0.0.1', port))
    local b = assert(l:accept())
    local c, s = rpc.newsession(a), rpc.newsession(copas.wrap(b))
    _G.f = function(x) return s:eval 'variable' + x end
    variable = 5
    T.equal(c:call('f', 1), 6)
    T.fails('tcp{client} expected', rpc.newsession, l)
    T.fails('tcp{client} expected', rpc.newsession)
    l:close()
    c:close()
    T.fails('the socket is closed', rpc.newsession, a)
  end)

  client:close()
  server:close()
  T.finish()
end

copas(run)
