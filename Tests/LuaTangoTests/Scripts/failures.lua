-- Connections that break, and answers that do not come in time.

local copas = require 'copas'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'

local function connect(server, timeout)
  return tango.client.socket.connect{port = server.port, timeout = timeout}
end

-- A peer that says what it is told to the first client, and closes.
local function peer(text, stay)
  local self = processes.milonga('support/peer.lua', text, stay and 'stay')
  self.port = tonumber(self:waitForOutput 'listening (%d+)\n')
  return self
end

local function run(how)
  local function test(name, f) T.test(name .. ', ' .. how, f) end

  test('the server goes', function()
    local server = processes.server()
    local con = connect(server)
    T.equal(con.add(1, 2), 3)
    server:stop()
    local place = ('localhost:%d: '):format(server.port)
    T.fails(place .. 'closed', con.add, 1, 2)
    T.fails(place .. 'closed', con.add, 1, 2)
    T.fails(place .. 'connection refused', connect, server)
  end)

  test('the server goes in the middle of a call', function()
    local server = processes.server()
    T.fails('closed', connect(server).os.exit)
    server:waitForEnd()
    server:stop()
  end)

  test('a late answer is not taken for that of the next call', function()
    local server = processes.server()
    local con = T.patiently(function() return connect(server, 0.4) end)
    T.fails(('localhost:%d: timeout'):format(server.port), con.hold, 'late')
    T.fails('timeout', con.echo, 'later still')
    connect(server).release(1, 'late')
    T.patiently(function(i) T.equal({con.echo('mine', i)}, {'mine', i}) end)
    T.patiently(function(i) T.equal({con.echo('mine, too', i)}, {'mine, too', i}) end)
    T.equal(server:errorText(), '')
    server:stop()
  end)

  test('a timeout of nothing, and none', function()
    local server = processes.server()
    T.equal(connect(server, -1).later(0.05, 'x'), 'x')
    T.equal(connect(server, 1e9).later(0.05, 'x'), 'x')
    server:stop()
  end)

  local answers = {
    ['no answer at all'] = {'', 'closed'},
    ['half a length'] = {'1', 'closed'},
    ['half an answer'] = {'9\n{true,', 'closed'},
    ['a length that is no number'] = {'ten\n{true}', 'bad answer: the length'},
    ['a negative length'] = {'-5\n{true}', 'bad answer: the length'},
    ['a huge length'] = {'99999999999999999999\n', 'bad answer: '},
    ['a length above the limit'] = {'16777217\n', 'bad answer: the frame is longer'},
    ['no length line'] = {'{true,1}\n', 'bad answer: the length'},
    ['no table'] = {'4\ntrue', 'bad answer: expected'},
    ['code'] = {'26\n{true,os.execute("exit 1")}', 'bad answer: expected'},
    ['an unfinished table'] = {'6\n{true,', 'bad answer: expected'},
    ['another protocol'] = {'HTTP/1.1 400 Bad Request\r\n\r\n', 'bad answer: '},
  }
  for name, answer in pairs(answers) do
    test('answered with ' .. name, function()
      local server = peer(answer[1])
      local con = connect(server)
      T.contains(T.fails(answer[2], con.add, 1, 2), ('localhost:%d'):format(server.port))
      T.fails('closed', con.add, 1, 2)
      server:stop()
    end)
  end

  test('answers with a strange status are errors', function()
    for _, body in ipairs{'{}', '{nil}', '{1,2}', '{"true",1}', '{false}', '{a=true}', '{[2]=5}'} do
      local server = peer(('%d\n%s'):format(#body, body))
      local con = connect(server)
      T.fails(nil, con.add, 1, 2)
      server:stop()
    end
  end)

  test('answers nobody asked for', function()
    local server = peer('8\n{true,1}8\n{true,2}8\n{true,3}', true)
    local con = connect(server, 60)
    T.equal(con.add(), 1)
    server:stop()
  end)
end

run 'blocking'
copas.addthread(run, 'in a Copas thread')
copas.loop()

T.test('a socket that never answers', function()
  local deaf = assert(socket.bind('127.0.0.1', 0))
  local _, port = deaf:getsockname()
  local con = T.patiently(function() return tango.client.socket.connect{port = port, timeout = 0.4} end)
  T.fails('timeout', con.echo, ('x'):rep(1 << 20))
  T.fails('timeout', con.echo, ('x'):rep(15 << 20))
  deaf:close()
end)

T.finish()
