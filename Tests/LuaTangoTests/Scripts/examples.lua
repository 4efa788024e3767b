-- The examples of tango's documentation, as they are.

package.path = (arg[0]:match '^.*/' or '') .. 'support/?.lua;' .. package.path
local processes = require 'processes'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

-- Starts an example that is a server, and waits until it listens.
local function serve(name, setup)
  local port = processes.freePort()
  local server = processes.milonga('support/example.lua', port, name)
  server.port = port
  processes.waitFor('the server of the example', function()
    assert(server:isRunning(), server:errorText())
    local probe = socket.connect('127.0.0.1', port)
    return probe and probe:close()
  end)
  return server
end

-- Runs an example that is a client to its end; gives what it printed, and its error. The check, which
-- follows it, sees its variables.
local function attempt(server, name, check)
  local client = processes.milonga('support/example.lua', server.port, name, check)
  client:waitForEnd()
  local text, errors = client:text(), client:errorText()
  client:stop()
  return text, errors
end

local function run(server, name, check)
  local text, errors = attempt(server, name, check)
  T.equal(errors, '')
  return text
end

local shows = "assert(select('#', %s) > 0) print(require 'testing'.list(%s))"
local function show(expression) return shows:format(expression, expression) end

local server = serve 'greet_server'

test('greetings', function()
  run(server, 'greet_client')
  T.equal(server:text(), 'Hello\tHorst\n')
end)

test('access anything', function()
  local text = run(server, 'anything', show 'con.math.sqrt(4)')
  T.equal(server:text(), 'Hello\tHorst\nI\tcall\tprint\tmyself\n')
  T.equal(text, '(2 as float)\n')
end)

test('read a remote variable', function()
  T.equal(run(server, 'read_variable', show 'friends'), T.list{'Anna', 'Bo'} .. '\n')
end)

test('write a remote variable', function()
  run(server, 'write_variable')
  T.equal(run(server, 'read_variable', show 'friends'), T.list{'Anna', 'Bo', 'Horst'} .. '\n')
end)

test('a pipe, locally', function()
  local first = assert(io.popen 'ls'):read 'l'
  T.equal(run(server, 'pipe', show 'line'), T.list(first) .. '\n')
end)

test('a pipe, remotely', function()
  local first = assert(io.popen 'ls'):read 'l'
  T.equal(run(server, 'reference', show 'line'), T.list(first) .. '\n')
  T.contains(run(server, 'reference', [[print(pcall(p.read, p))]]), 'tango.ref invalid id')
end)

T.equal(server:errorText(), '')
server:stop()

test('only what is in functab', function()
  local server = serve 'functab_server'
  T.equal(run(server, 'functab_client', show 'con.sqrt(4)'), '(2 as float)\n')
  T.contains(run(server, 'functab_client', 'print(pcall(con.math.sqrt, 4))'), 'no such variable')
  server:stop()
end)

test('neither read nor write access', function()
  local server = serve 'access_server'
  local _, reason = attempt(server, 'read_variable')
  T.contains(reason, 'tango server error "friends": no read_access')
  _, reason = attempt(server, 'anything', 'con.friends{}')
  T.contains(reason, 'tango server error "friends": no write_access')
  server:stop()
end)

test('serialization with cjson', function()
  local server = serve 'json_server'
  T.equal(run(server, 'json_client', show 'con.math.sqrt(4), con.friends()'),
    T.list(2.0, {'Anna', 'Bo'}) .. '\n')
  server:stop()
end)

T.finish()
