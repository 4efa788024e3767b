-- TLS through LuaSec, on both sides, blocking and in Copas threads.

local certificates = require 'certificates'
local copas = require 'copas'
local processes = require 'processes'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'

local made = certificates.new('localhost', 'horst')
local plain = made:parameters('client', nil, 'localhost', "verify = 'peer'")
local known = made:parameters('client', 'horst', 'localhost', "verify = 'peer'")
local strictly = made:text('server', 'localhost', 'horst', "verify = {'peer', 'fail_if_no_peer_cert'}")

local function serve(configuration) return processes.server(configuration) end
local server = serve('ssl_timeout = 60, sslparams = ' .. made:text('server', 'localhost'))

local function connect(configuration, port)
  configuration = configuration or {}
  configuration.sslparams = configuration.sslparams or plain
  configuration.ssl_timeout = configuration.ssl_timeout or 60
  return rpc.newclient('localhost', port or server.port, configuration)
end

function echo(...) return ... end

local function run(how)
  local function test(name, f) T.test(name .. ', ' .. how, f) end

  test('calls, errors, newexec, eval', function()
    local peer = assert(connect())
    T.equal({peer:call('echo', 1, 'x', {a = {1}})}, {1, 'x', {a = {1}}})
    T.fails('boom', peer.call, peer, 'fail', 'boom')
    T.equal({peer:call 'nothing'}, {nil, 'function not existing'})
    T.equal(peer:newexec(function(x) return x + 1 end)(41), 42)
    T.equal(peer:eval 'data.list'[2], 20)
    T.equal(peer:call('later', 0.02, 'late'), 'late')
    T.contains(tostring(peer.skt), 'SSL connection')
    peer:close()
    T.equal({peer:call('add', 1, 2)}, {nil, 'closed'})
  end)

  test('much, both ways', function()
    local peer = assert(connect())
    for _, size in ipairs{1, 8191, 8192, 16384, 16385, 60000} do
      local text = ('x'):rep(size)
      assert(peer:call('echo', text) == text, 'the text changed')
    end
    local list = {}
    for i = 1, 60 do list[i] = ('%d,'):format(i):rep(16000) end
    local back = peer:call('echo', list)
    for i = 1, 60 do assert(back[i] == list[i]) end
    peer:close()
  end)

  test('a deadline', function()
    local peer = T.patiently(function() return assert(connect{timeout = 0.1}) end)
    T.equal({peer:call('hold', 'late')}, {nil, 'timeout'})
    local other = assert(connect())
    other:call('release', 1, 'late')
    T.patiently(function(i) T.equal({peer:call('add', i, 2)}, {i + 2}) end)
    other:close()
    peer:close()
  end)

  test('a context in the place of parameters', function()
    local peer = assert(connect{sslparams = assert(require 'ssl'.newcontext(plain))})
    T.equal(peer:call('add', 1, 2), 3)
    peer:close()
  end)

  test('newsession', function()
    local peer = rpc.newsession(assert(socket.connect('localhost', server.port)), {sslparams = plain})
    T.equal(peer:call('add', 1, 2), 3)
    peer:close()
  end)

  test('a certificate that nobody trusts', function()
    local peer, reason = connect{sslparams = made:parameters('client', nil, 'horst', "verify = 'peer'")}
    T.equal(peer, nil)
    T.contains(reason, 'TLS handshake failed: certificate verify failed')
  end)

  test('a client that looks at the certificate', function()
    local seen
    local function authorize(host, port, connection)
      T.equal({host, port}, {'127.0.0.1', server.port})
      seen = connection:getpeercertificate():subject()[1].value
      return seen == 'horst'
    end
    T.equal({connect{authorize = authorize}}, {nil, 'not authorized'})
    T.equal(seen, 'localhost')
    T.fails('no such luck', connect, {authorize = function() error 'no such luck' end})
  end)

  test('a server without TLS, and a client without', function()
    local other = serve()
    local peer, reason = connect({ssl_timeout = 0.3}, other.port)
    T.equal(peer, nil)
    T.contains(reason, 'TLS handshake')
    local naked = assert(rpc.newclient('localhost', server.port))
    T.equal({naked:call('add', 1, 2)}, {nil, 'closed'})
    T.equal(assert(rpc.newclient('localhost', other.port)):call('add', 1, 2), 3)
    other:stop()
  end)

  test('nobody answers the handshake', function()
    local silent = assert(socket.bind('127.0.0.1', 0))
    local peer, reason = rpc.newclient('127.0.0.1', (select(2, silent:getsockname())), {
      sslparams = plain, ssl_timeout = 0.05})
    T.equal({peer, reason}, {nil, 'no TLS handshake within 0.05 s (ssl_timeout)'})
    silent:close()
  end)

  test('the connection breaks in a call', function()
    local mortal = serve('ssl_timeout = 60, sslparams = ' .. made:text('server', 'localhost'))
    local peer = assert(connect(nil, mortal.port))
    os.execute('(sleep 0.1; kill -9 ' .. mortal.pid .. ') &')
    T.equal({peer:call('later', 100)}, {nil, 'closed'})
    T.equal({peer:call('add', 1, 2)}, {nil, 'closed'})
    mortal:stop()
  end)

  test('newserver takes the first who shakes hands, and both sides call', function()
    local port, finished = processes.freePort(), 0
    local partner = processes.milonga('support/tls_partner.lua', port,
      made:text('client', nil, 'localhost', "verify = 'peer'"))
    function finish() finished = finished + 1 end
    local peer = assert(rpc.newserver('localhost', port, {
      sslparams = made:parameters('server', 'localhost'), ssl_timeout = 0.05}))
    T.equal({socket.connect('localhost', port)}, {nil, 'connection refused'})
    local text = ('y'):rep(60000)
    while finished == 0 do
      local back, reason = peer:call('echo', text)
      assert(back == text or finished == 1 and reason == 'closed')
    end
    partner:waitForEnd()
    T.equal(partner:errorText(), '')
    peer:close()
  end)
end

run 'blocking'
copas(function()
  run 'in a Copas thread'

  T.test('many at a time', function()
    local peer = assert(connect())
    local open, right = 300, 0
    for i = 1, 300 do
      copas.addthread(function()
        local text = ('%d,'):format(i):rep(200)
        local number, back = peer:call('echo', i, text)
        if number == i and back == text then right = right + 1 end
        open = open - 1
      end)
    end
    while open > 0 do copas.pause(0.001) end
    T.equal(right, 300)
    peer:close()
  end)

  T.test('a thread that is removed in the handshake', function()
    local silent = assert(socket.bind('127.0.0.1', 0))
    local thread = copas.addthread(function()
      rpc.newclient('127.0.0.1', (select(2, silent:getsockname())), {sslparams = plain})
    end)
    silent:settimeout(0)
    local other
    repeat
      copas.pause(0.001)
      other = silent:accept()
    until other
    other = copas.wrap(other)
    assert(other:receive(5))
    copas.removethread(thread)
    -- The rest of the hello, then the end.
    assert(other:receive '*a')
    silent:close()
  end)
end)

T.test('a client that does not shake hands', function()
  local impatient = serve('ssl_timeout = 0.05, sslparams = ' .. made:text('server', 'localhost'))
  local silent = assert(socket.connect('127.0.0.1', impatient.port))
  silent:settimeout(60)
  T.equal((silent:receive(1)), nil)
  T.contains(impatient:errorLines(1)[1], 'no TLS handshake within 0.05 s')
  local patient = serve('ssl_timeout = 60, sslparams = ' .. made:text('server', 'localhost'))
  local rude = assert(socket.connect('127.0.0.1', patient.port))
  rude:send '\0\0\0\0\0\5\3\0\3abc'
  rude:settimeout(60)
  rude:receive '*a'
  T.contains(patient:errorLines(1)[1], 'TLS handshake failed')
  T.equal(assert(connect(nil, patient.port)):call('add', 1, 2), 3)
  patient:stop()
  -- A peer that was too slow may try again, too.
  processes.waitFor('an answer', function()
    local peer = connect(nil, impatient.port)
    return peer and peer:call('add', 1, 2) == 3
  end)
  impatient:stop()
end)

T.test('clients with certificates only', function()
  local strict = serve('ssl_timeout = 60, sslparams = ' .. strictly .. [[,
    authorize = function(host, port, connection)
      for _, field in ipairs(connection:getpeercertificate():subject()) do
        if field.name == 'commonName' then name = field.value end
      end
      return name == 'horst'
    end]])
  local peer = assert(connect({sslparams = known}, strict.port))
  T.equal(peer:eval 'name', 'horst')
  -- In TLS 1.3 the client is ready before the server refuses it.
  local stranger = connect(nil, strict.port)
  if stranger then T.equal({stranger:call('add', 1, 2)}, {nil, 'closed'}) end
  T.equal(peer:call('add', 1, 2), 3)
  strict:stop()
  -- A server that asks for certificates may offer all globals without `insecure`.
  assert(rpc.newserveronly('*', 0, {sslparams = load('return ' .. strictly)()})):close()
  T.fails('refusing to offer all globals', rpc.newserveronly, '*', 0,
    {sslparams = made:parameters('server', 'localhost')})
end)

server:stop()
made:remove()
T.finish()
