-- TLS through LuaSec, on both sides, blocking and in Copas threads.

local certificates = require 'certificates'
local copas = require 'copas'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'

local made = certificates.new('localhost', 'horst')
local function side(...) return made:text(...) end
local function load1(text) return assert(load('return ' .. text))() end

local plain = load1(side('client', nil, 'localhost', "verify = 'peer'"))
local known = load1(side('client', 'horst', 'localhost', "verify = 'peer'"))

local server = processes.server('ssl_timeout = 60, sslparams = ' .. side('server', 'localhost'))
local function connect(configuration)
  configuration = configuration or {}
  configuration.port = configuration.port or server.port
  configuration.sslparams = configuration.sslparams or plain
  configuration.ssl_timeout = configuration.ssl_timeout or 60
  return tango.client.socket.connect(configuration)
end

local function run(how)
  local function test(name, f) T.test(name .. ', ' .. how, f) end

  test('calls, errors, references', function()
    local con = connect()
    T.equal({con.echo(1, nil, 'x', {a = {1}})}, {1, nil, 'x', {a = {1}}})
    T.fails('testmessage', con.strerror)
    local person = tango.ref(con.person, 'horst')
    T.equal(person:name(), 'horst')
    tango.unref(person)
    T.equal(con.later(0.02, 'late'), 'late')
  end)

  test('much, both ways', function()
    local con = connect()
    for _, size in ipairs{1, 8191, 8192, 16384, 16385, 100000, 3000000} do
      local text = ('x'):rep(size)
      assert(con.echo(text) == text, 'the text changed')
    end
  end)

  test('many at a time', function()
    local con, futures = connect(), {}
    for i = 1, 300 do futures[i] = con.async.echo(i, ('%d,'):format(i):rep(200)) end
    for i = 300, 1, -1 do
      local number, text = futures[i]:get()
      assert(number == i and text == ('%d,'):format(i):rep(200))
    end
  end)

  -- What is sent goes through Lua, which runs finalizers meanwhile.
  test('finalizers that call while something is sent', function()
    local con, futures, attempts = connect(), {}, 0
    local function trap()
      setmetatable({}, {__gc = function()
        attempts = attempts + 1
        -- Each call makes garbage, and so leads to more of them.
        if attempts < 300 then trap() end
        -- A blocking client refuses that while it reads an answer.
        local number = #futures + 1
        local called, future = pcall(con.async.echo, number)
        if called then futures[number] = future end
      end})
    end
    for _ = 1, 5 do trap() end
    local before = collectgarbage('generational')
    local text = ('x'):rep(20000)
    for i = 1, 100 do assert(con.echo(i, text) == i) end
    collectgarbage(before)
    assert(#futures > 0, 'no finalizer has called')
    for i, future in ipairs(futures) do T.equal(future:get(), i) end
  end)

  test('a deadline', function()
    local con = T.patiently(function() return connect{timeout = 0.1} end)
    T.fails('timeout', con.hold, 'late')
    connect().release(1, 'late')
    T.patiently(function(i) T.equal(con.add(i, 2), i + 2) end)
  end)

  test('a context in the place of parameters', function()
    T.equal(connect{sslparams = assert(require 'ssl'.newcontext(plain))}.add(1, 2), 3)
  end)

  test('a certificate that nobody trusts', function()
    local con = {sslparams = load1(side('client', nil, 'horst', "verify = 'peer'"))}
    T.contains(T.fails('ssl handshake failed with: ', connect, con), 'certificate verify failed')
  end)

  test('a client that looks at the certificate', function()
    local seen
    local function judge(peer)
      seen = peer.certificate:subject()[1].value
      assert(peer.address == '127.0.0.1' and peer.port == server.port)
      return seen == 'localhost', 'another name'
    end
    T.equal(connect{authorize = judge}.add(1, 2), 3)
    T.equal(seen, 'localhost')
    T.fails('not authorized: no', connect, {authorize = function() return false, 'no' end})
    T.fails("'authorize' failed: ", connect, {authorize = function() error 'boom' end})
    T.fails("'authorize' must be a function", connect, {authorize = 1})
  end)

  test('a server without TLS, and a client without', function()
    local other = processes.server()
    T.fails('ssl handshake failed', connect, {port = other.port, ssl_timeout = 0.3})
    T.fails(nil, tango.client.socket.connect{port = server.port}.add, 1, 2)
    T.equal(tango.client.socket.connect{port = other.port}.add(1, 2), 3)
    T.equal(connect().add(1, 2), 3)
    other:stop()
  end)

  test('nobody answers the handshake', function()
    local silent = assert(socket.bind('127.0.0.1', 0))
    local _, port = silent:getsockname()
    T.fails('ssl handshake failed with: timeout', connect,
      {address = '127.0.0.1', port = port, ssl_timeout = 0.05})
    silent:close()
  end)

  test('the connection breaks in a call', function()
    local mortal = processes.server('ssl_timeout = 60, sslparams = ' .. side('server', 'localhost'))
    local con = connect{port = mortal.port}
    os.execute('(sleep 0.1; kill -9 ' .. mortal.pid .. ') &')
    T.fails('closed', con.later, 100)
    T.fails('closed', con.add, 1, 2)
    mortal:stop()
  end)
end

run 'blocking'
copas.addthread(run, 'in a Copas thread')
copas.loop()

T.test('no call before the new connection is authorized', function()
  local first = processes.server('ssl_timeout = 60, sslparams = ' .. side('server', 'localhost'))
  copas(function()
    local isTrusted = true
    local con = connect{port = first.port, reconnect = true, timeout = 60, authorize = function()
      copas.pause(0.01)
      return isTrusted
    end}
    T.equal(con.add(1, 2), 3)
    first:stop()
    local second = processes.server('port = ' .. first.port .. ', ssl_timeout = 60, sslparams = ' .. side('server', 'localhost'),
      'calls = 0; function count() calls = calls + 1 return calls end')
    local function together()
      local answers, failures, open = 0, 0, 20
      for i = 1, 20 do
        copas.addthread(function()
          -- Before the connection is made, and while it is judged.
          copas.pause(i / 1000)
          local succeeded, reason = pcall(con.count)
          if succeeded then answers = answers + 1 else failures = failures + 1 end
          assert(succeeded or tostring(reason):find('not authorized', 1, true))
          open = open - 1
        end)
      end
      while open > 0 do copas.pause(0.001) end
      return answers, failures
    end
    isTrusted = false
    T.equal({together()}, {0, 20})
    isTrusted = true
    T.equal({together()}, {20, 0})
    -- Clients that were refused never got there.
    T.equal(con.count(), 21)
    second:stop()
  end)
end)

T.test('a client that does not shake hands', function()
  local impatient = processes.server('ssl_timeout = 0.05, sslparams = ' .. side('server', 'localhost'))
  local silent = assert(socket.connect('127.0.0.1', impatient.port))
  silent:settimeout(60)
  T.equal((silent:receive(1)), nil)
  T.contains(impatient:errorLines(1)[1], 'no TLS handshake within 0.05 seconds')
  local patient = processes.server('ssl_timeout = 60, sslparams = ' .. side('server', 'localhost'))
  local rude = assert(socket.connect('127.0.0.1', patient.port))
  rude:send '17\n{"add",1,2}\n\n\n\n\n'
  rude:settimeout(60)
  rude:receive '*a'
  T.contains(patient:errorLines(1)[1], 'TLS handshake failed')
  T.equal(connect{port = patient.port}.add(1, 2), 3)
  patient:stop()
  -- A client that was too slow may try again, too.
  processes.waitFor('an answer', function()
    local ok, sum = pcall(function() return connect{port = impatient.port}.add(1, 2) end)
    return ok and sum == 3
  end)
  impatient:stop()
end)

T.test('clients with certificates only', function()
  local parameters = side('server', 'localhost', 'horst', "verify = {'peer', 'fail_if_no_peer_cert'}")
  local strict = processes.server('ssl_timeout = 60, sslparams = ' .. parameters .. [[,
    authorize = function(peer)
      for _, field in ipairs(peer.certificate:subject()) do
        if field.name == 'commonName' then name = field.value end
      end
      return name == 'horst'
    end]])
  local con = connect{port = strict.port, sslparams = known}
  T.equal(con.name(), 'horst')
  T.equal(con.add(1, 2), 3)
  -- In TLS 1.3 the client is ready before the server refuses it.
  T.equal((pcall(function() return connect{port = strict.port}.add(1, 2) end)), false)
  T.equal(con.add(1, 2), 3)
  strict:stop()
  -- A server that asks for certificates may offer all globals without `insecure`.
  local listener = tango.server.copas_socket.new{interface = '*', port = 0, sslparams = load1(parameters)}
  listener:close()
  T.fails('refusing to offer all globals', tango.server.copas_socket.new,
    {interface = '*', port = 0, sslparams = load1(side('server', 'localhost'))})
end)

server:stop()
made:remove()
T.finish()
