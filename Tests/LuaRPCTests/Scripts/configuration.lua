-- What a peer offers, and to whom.

local copas = require 'copas'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

hidden = 'secret'

local function serve(configuration)
  local s = assert(rpc.newserveronly('localhost', 0, configuration))
  return assert(rpc.newclient('localhost', (select(2, s:getsockname())))), s
end

local function run()
  test('all globals on loopback only', function()
    for _, f in ipairs{rpc.newserveronly, rpc.newmultiserver, rpc.newserver} do
      for _, interface in ipairs{'*', '0.0.0.0'} do
        for _, configuration in ipairs{{}, {functab = _G}} do
          for _, remedy in ipairs{'functab', 'localhost', 'insecure = true'} do
            T.fails(remedy, f, interface, 0, configuration)
          end
        end
      end
    end
    assert(rpc.newserveronly('*', 0, {insecure = true})):close()
    assert(rpc.newserveronly('*', 0, {functab = {}})):close()
  end)

  test('wrong configurations', function()
    for _, case in ipairs{
      {{functab = 5}, "'functab' must be a table"}, {{env = print}, "'env' must be a table"},
      {{allow = 'call'}, "'allow' must be a table"}, {{allow = {'exec'}}, "'allow' must be a table of"},
      {{authorize = 1}, "'authorize' must be a function"}, {{max_depth = 0}, "'max_depth'"},
      {{timeout = 'long'}, "'timeout' must be a number"}, {{sslparams = {}}, 'sslparams'},
      {{max_frame_bytes = -1}, "'max_frame_bytes'"}, {{instruction_limit = 0.5}, "'instruction_limit'"},
    } do
      T.fails(case[2], rpc.newserveronly, 'localhost', 0, case[1])
      T.fails(case[2], rpc.newclient, 'localhost', 1, case[1])
    end
    T.fails('a port from 0 to 65535', rpc.newserveronly, 'localhost', 70000)
    T.fails('table expected', rpc.newclient, 'localhost', 1, 'x')
  end)

  test('functab: nothing else can be reached, and code is not executed', function()
    local c, s = serve{functab = {f = function() return 1 end, t = {x = 2, g = function() return 3 end}}}
    T.equal({c:call 'f', c:eval 't.x', c:call 't.g'}, {1, 2, 3})
    for _, name in ipairs{'print', 'os.execute', 'hidden', '_G', 'string.rep', 'f.x', 't.t'} do
      T.equal(T.list(c:call(name)), T.list(nil, 'function not existing'))
      T.equal(T.list(c:eval(name)), '(nil)')
    end
    T.fails('newexec is not allowed here', c.newexec, c, 'return 1')
    T.fails('newexec is not allowed here', c.call, c, '__rpcrunexec', 1)
    T.fails('functions are not accepted here', c.call, c, 'f', function() end)
    c:close()
    s:close()
  end)

  test('allow', function()
    local c, s = serve{allow = {'call'}}
    T.equal(c:call('math.abs', -1), 1)
    T.fails('eval is not allowed here (allow)', c.eval, c, 'hidden')
    T.fails('newexec is not allowed here (allow)', c.newexec, c, 'return 1')
    s:close()
    c:close()
    c, s = serve{allow = {eval = true, newexec = true, call = false}}
    T.equal(c:eval 'hidden', 'secret')
    T.equal(c:newexec 'return hidden'(), 'secret')
    T.fails('calls are not allowed here', c.call, c, 'print')
    s:close()
    c:close()
  end)

  test('the environment of executed code', function()
    local c, s = serve{functab = {f = function() return 'f' end}, allow = {'call', 'eval', 'newexec'}}
    T.equal(c:newexec 'return f(), print, hidden, _G'(), 'f')
    T.equal(T.list(c:newexec 'return f(), print'()), T.list('f', nil))
    T.equal(T.list(c:newexec(function() return f(), print end)()), T.list('f', nil))
    s:close()
    c:close()
    c, s = serve{env = {x = 5, rep = string.rep}}
    T.equal(T.list(c:newexec 'y = x + 1 return y, hidden, print'()), T.list(6, nil, nil))
    T.equal(c:eval 'hidden', 'secret')
    T.equal(y, nil)
    -- A bytecode in disguise.
    T.fails('bytecode is not loaded without accept_bytecode', c.newexec, c, string.dump(load 'return 1'))
    s:close()
    c:close()
  end)

  test('instruction and memory limits', function()
    local c, s = serve{instruction_limit = 100000, memory_limit = 1 << 20,
      env = {rep = string.rep, pcall = pcall, create = coroutine.wrap, table = table, ipairs = ipairs}}
    for _, text in ipairs{
      'while true do end', 'while true do pcall(function() while true do end end) end',
      'local f = create(function() while true do end end) f()',
      'while true do create(function() for i = 1, 1e4 do end end)() end',
      'for i = 1, 1e9 do ipairs{} end',
    } do
      T.fails('instruction limit reached', c:newexec(text))
    end
    for _, text in ipairs{'return rep("x", 1 << 30)', 'local t = {} for i = 1, 90000 do t[i] = {} end',
      'local s = "x" for _ = 1, 40 do s = s .. s end'} do
      T.fails('not enough memory', c:newexec(text))
    end
    -- Within the limits it works, again and again, and others are not limited.
    local f = c:newexec 'local n = 0 for i = 1, ... do n = n + i end return n'
    for _ = 1, 20 do T.equal(f(10000), 50005000) end
    local n = 0
    for i = 1, 1e6 do n = n + i end
    T.equal(#('x'):rep(10 << 20), 10 << 20)
    s:close()
    c:close()
  end)

  test('bytecode', function()
    local stripped = load(string.dump(load 'return ...', true))
    local s = assert(rpc.newserveronly('localhost', 0))
    local trusting = assert(rpc.newserveronly('localhost', 0, {accept_bytecode = true}))
    local function connect(server)
      return assert(rpc.newclient('localhost', (select(2, server:getsockname())), {send_bytecode = true}))
    end
    local c, t = connect(s), connect(trusting)
    T.fails('accept_bytecode = true', c.newexec, c, stripped)
    T.fails('accept_bytecode = true', c.call, c, 'type', {stripped})
    T.equal(t:newexec(stripped)(7), 7)
    T.equal(t:call('type', stripped), 'function')
    -- Text goes as text nevertheless.
    T.equal(c:newexec(function(x) return x + 1 end)(1), 2)
    for _, x in ipairs{c, t, s, trusting} do x:close() end
  end)

  test('authorize', function()
    local seen = {}
    local answer
    local s = assert(rpc.newserveronly('localhost', 0, {authorize = function(host, port, skt)
      seen[#seen + 1] = host
      copas.pause(0.001)
      assert(select(2, skt:getpeername()) == port)
      return answer
    end}))
    local function attempt()
      local c = assert(rpc.newclient('localhost', (select(2, s:getsockname()))))
      local results = T.list(c:call('math.abs', -1))
      c:close()
      return results
    end
    T.equal(attempt(), T.list(nil, 'closed'))
    answer = true
    T.equal(attempt(), '(1)')
    T.equal(seen, {'127.0.0.1', '127.0.0.1'})
    s:close()
  end)

  test('newserver asks, too', function()
    local port = require 'processes'.freePort()
    local count, peer = 0, nil
    copas.addthread(function()
      peer = rpc.newserver('localhost', port, {authorize = function() count = count + 1 return count > 1 end})
    end)
    copas.pause(0.001)
    local first = assert(rpc.newclient('localhost', port))
    T.equal(T.list(first:call 'math.abs'), T.list(nil, 'closed'))
    local second = assert(rpc.newclient('localhost', port))
    T.equal(second:call('math.abs', -1), 1)
    T.equal(peer:call('math.abs', -2), 2)
    second:close()
  end)

  test('what a client offers', function()
    local s = assert(socket.bind('127.0.0.1', 0))
    local c = assert(rpc.newclient('127.0.0.1', (select(2, s:getsockname())), {functab = {x = 1}}))
    local p = rpc.newsession((s:accept()))
    T.equal(T.list(p:eval 'x'), '(1)')
    T.equal(T.list(p:eval 'hidden'), '(nil)')
    c:close()
    s:close()
  end)

  T.finish()
end

copas(run)
