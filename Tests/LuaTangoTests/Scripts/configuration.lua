-- What connect, new and loop are told, and what they say when it is wrong.

local copas = require 'copas'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'
local test = T.test

local connect, new = tango.client.socket.connect, tango.server.copas_socket.new
local loop, newEvents = tango.server.copas_socket.loop, tango.server.ev_socket.new

test('modules by their own names', function()
  assert(require 'tango.client.socket' == tango.client.socket)
  assert(require 'tango.server.copas_socket' == tango.server.copas_socket)
  assert(require 'tango.server.ev_socket' == tango.server.ev_socket)
end)

test('values of the wrong type', function()
  for _, f in ipairs{connect, new, loop, newEvents, tango.server.ev_socket.loop} do
    T.fails('table expected', f, 5)
    T.fails('table expected', f, 'localhost')
    T.fails("'port' must be a number", f, {port = 'x'})
    T.fails("'port' must be a number", f, {port = {}})
    T.fails("'port' must be an integer from 0 to 65535", f, {port = -1})
    T.fails("'port' must be an integer from 0 to 65535", f, {port = 65536})
    T.fails("'port' must be an integer from 0 to 65535", f, {port = 1.5})
    T.fails("'serialize' must be a function", f, {serialize = 'x'})
    T.fails("'unserialize' must be a function", f, {unserialize = {}})
    T.fails("'max_depth' must be an integer", f, {max_depth = 0})
    T.fails("'max_values' must be a number", f, {max_values = 'many'})
    T.fails("'max_references' must be an integer", f, {max_references = -1})
    T.fails("'max_frame_bytes' must be an integer", f, {max_frame_bytes = 0.5})
    T.fails("'sslparams' must be a table", f, {sslparams = true})
    T.fails("bad configuration: 'sslparams'", f, {sslparams = {}})
    T.fails("bad configuration: 'sslparams'", f, {sslparams = {protocol = 'nosuch'}})
    T.fails("'ssl_timeout' must be a number", f, {ssl_timeout = 'x'})
  end
  T.fails("'address' must be a string", connect, {address = {}})
  T.fails("'timeout' must be a number", connect, {timeout = 'x'})
  T.fails("'interface' must be a string", new, {interface = true})
  T.fails("'functab' must be a table", new, {functab = 5})
  T.fails("'functab' must be a table", new, {functab = print})
  T.fails("'max_calls_in_flight' must be an integer", connect, {max_calls_in_flight = 0})
  T.fails("'max_connections' must be an integer", new, {max_connections = 0})
  T.fails("'idle_timeout' must be a number", new, {idle_timeout = {}})
  T.fails("'authorize' must be a function", new, {authorize = true})
  T.fails("'pcall' must be a function", new, {pcall = 'x'})
end)

test('an error has the position of the call', function()
  local message = T.fails("'port'", function() connect{port = 'x'} end)
  T.contains(message, 'configuration.lua:' .. debug.getinfo(1, 'l').currentline - 1 .. ':')
end)

test('all globals on an interface that others reach', function()
  for _, interface in ipairs{'*', '0.0.0.0', '::', '192.0.2.1', 'example.com'} do
    local message = T.fails('refusing to offer all globals', new, {interface = interface, port = 0})
    T.contains(message, "'" .. interface .. "'")
    for _, remedy in ipairs{'functab', "interface = '127.0.0.1'", 'insecure = true'} do
      T.contains(message, remedy)
    end
    T.fails('refusing', new, {interface = interface, port = 0, functab = _G})
  end
end)

test('all globals there when told so, and a table without', function()
  local server = new{interface = '*', port = 0, insecure = true}
  T.equal((server:getsockname()), '0.0.0.0')
  server:close()
  server = new{interface = '*', port = 0, functab = math}
  server:close()
end)

test('loopback unless told otherwise', function()
  local server = new{port = 0}
  T.equal((server:getsockname()), '127.0.0.1')
  server:close()
  for _, interface in ipairs{'127.0.0.1', 'localhost', '127.0.0.2'} do
    server = new{interface = interface, port = 0}
    server:close()
  end
end)

test('a functab hides all else', function()
  local server = processes.server 'functab = math'
  local con = connect{port = server.port}
  T.equal(con.sqrt(4), 2.0)
  T.equal(con.pi(), math.pi)
  T.fails('tango server error "os.execute": no such variable', con.os.execute, 'true')
  T.fails('no such variable', con.math.sqrt, 4)
  T.equal(con._G(), nil)
  server:stop()
end)

test('the original leaves its functions in functab; ours does not touch it', function()
  local functab = {}
  local server = new{port = 0, functab = functab}
  server:close()
  T.equal(functab, {})
end)

test('a pcall of the program', function()
  local server = processes.server([[pcall = function(f, ...)
    counted = (counted or 0) + 1
    local results = table.pack(pcall(f, ...))
    if not results[1] then return false, 'mine: ' .. tostring(results[2]) end
    return table.unpack(results, 1, results.n)
  end]])
  local con = connect{port = server.port}
  T.equal({con.echo(1, nil, 3)}, {1, nil, 3})
  T.contains(T.fails('mine: ', con.strerror), 'testmessage')
  T.equal(con.counted(), 2)
  local person = tango.ref(con.person, 'horst')
  T.equal(person:name(), 'horst')
  T.equal(con.counted(), 4)
  server:stop()
  -- One that returns nothing, and one that fails itself.
  server = processes.server 'pcall = function() end'
  T.equal(select('#', pcall(connect{port = server.port}.add, 1, 2)), 2)
  server:stop()
  server = processes.server 'pcall = function() error "no" end'
  T.fails('no', connect{port = server.port}.add, 1, 2)
  server:stop()
  server = processes.server 'pcall = pcall'
  T.equal(connect{port = server.port}.add(1, 2), 3)
  server:stop()
end)

test('whom authorize refuses', function()
  local server = processes.server([[authorize = function(peer)
    seen = peer
    require 'copas'.pause(0.01)
    if peer.address ~= '127.0.0.1' then return nil, 'not from ' .. peer.address end
    return true
  end]])
  local con = connect{address = '127.0.0.1', port = server.port}
  T.equal(con.add(1, 2), 3)
  T.equal(con.seen.address(), '127.0.0.1')
  T.equal(math.type(con.seen.port()), 'integer')
  T.equal(con.add(1, 2), 3)
  server:stop()
  for text, reason in pairs{['return false'] = 'not authorized', ['return nil, "banned"'] = 'banned',
      ['error "oops"'] = 'oops', ['return'] = 'not authorized'} do
    server = processes.server('authorize = function() ' .. text .. ' end')
    T.fails(nil, connect{port = server.port}.add, 1, 2)
    T.contains(table.concat(server:errorLines(1)), reason)
    server:stop()
  end
end)

test('more clients than max_connections', function()
  local server = processes.server 'max_connections = 2'
  local a, b = connect{port = server.port}, connect{port = server.port}
  T.equal(a.add(1, 2) + b.add(1, 2), 6)
  T.fails(nil, connect{port = server.port}.add, 1, 2)
  T.equal(a.add(1, 2), 3)
  tango.close(b)
  processes.waitFor('room', function() return (pcall(connect{port = server.port}.add, 1, 2)) end)
  server:stop()
end)

test('clients that say nothing', function()
  local server = processes.server 'idle_timeout = 0.05'
  local con = connect{port = server.port}
  T.equal(con.add(1, 2), 3)
  -- A function that takes longer is no silence.
  T.equal(con.later(0.2, 'x'), 'x')
  T.contains(server:errorLines(1)[1], 'nothing came for 0.05 seconds')
  T.fails(nil, con.add, 1, 2)
  server:stop()
end)

test('a connection that was closed', function()
  local server = processes.server()
  local con = connect{port = server.port}
  T.equal(con.add(1, 2), 3)
  tango.close(con)
  tango.close(con)
  T.fails('closed', con.add, 1, 2)
  for _, wrong in ipairs{1, 'x', {}, print} do T.fails('connection expected', tango.close, wrong) end
  T.fails('connection expected', tango.close)
  server:stop()
end)

test('the port is taken', function()
  local taken = assert(socket.bind('127.0.0.1', 0))
  local _, port = taken:getsockname()
  local place = '127.0.0.1:' .. ('%d'):format(port)
  T.contains(T.fails(place, new, {port = port}), 'address already in use')
  T.contains(T.fails(place, loop, {port = port}), 'address already in use')
  taken:close()
end)

test('an interface that is not there', function()
  T.contains(T.fails('192.0.2.1:0', new, {interface = '192.0.2.1', port = 0, functab = {}}),
    'assign requested address')
  T.fails('nosuch.invalid:0', new, {interface = 'nosuch.invalid', port = 0, functab = {}})
end)

local function unreachable(how)
  test('nobody listens, ' .. how, function()
    -- Bound, so that no other program takes the port.
    local silent = assert(socket.tcp4())
    assert(silent:bind('127.0.0.1', 0))
    local _, port = silent:getsockname()
    T.fails(('127.0.0.1:%d: connection refused'):format(port), connect,
      {address = '127.0.0.1', port = port})
    T.fails(('localhost:%d: connection refused'):format(port), connect, {port = port})
    silent:close()
  end)

  test('a name that does not resolve, ' .. how, function()
    local message = T.fails('nosuch.invalid:12345: ', connect, {address = 'nosuch.invalid'})
    T.contains(message, 'host')
  end)
end
unreachable 'blocking'
copas.addthread(unreachable, 'in a Copas thread')
copas.loop()

test('the port as a text, an address of either family', function()
  local server = processes.server()
  T.equal(connect{port = tostring(server.port)}.add(1, 2), 3)
  T.equal(connect{address = '127.0.0.1', port = server.port}.add(1, 2), 3)
  T.equal(connect{address = 'localhost', port = server.port}.add(1, 2), 3)
  server:stop()
  if socket.bind('::1', 0) then
    server = processes.server "interface = '::1'"
    T.equal(connect{address = '::1', port = server.port}.add(1, 2), 3)
    server:stop()
  end
end)

test('a handler is for Copas', function()
  local server, handler = new{port = 0}
  T.fails('must be called by Copas', handler, server)
  copas.addthread(function()
    local ok, reason = pcall(handler, 5)
    assert(not ok and reason:find 'tcp{client}', reason)
  end)
  copas.loop()
  server:close()
end)

T.finish()
