-- Clients that leave while a function of theirs waits: their descriptors are free at once, and
-- `on_disconnect` says what becomes of the function.

local by_hand = require 'by_hand'
local certificates = require 'certificates'
local copas = require 'copas'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'
local threads = require 'threads'

local setup = [[
  -- Its turn comes again and again.
  function restless(key)
    local guard <close> = setmetatable({}, {__close = function() note('closed ' .. key) end})
    note('began ' .. key)
    while not rested do copas.pause(0.001) end
    note('finished ' .. key)
  end
  total = 0
  function increment() total = total + 1 end
  allowing = true
  function judge(peer)
    if not allowing then note 'asked' end
    while not allowing do copas.pause(0.001) end
    return true
  end
]]

local frame, connect, answer = by_hand.frame, by_hand.connect, by_hand.answer
local awaitFree, awaitNotes = by_hand.awaitFree, by_hand.awaitNotes

local function start(fields, parameters) return by_hand.start(setup, fields, parameters) end

local leaving = {
  {'closes', function(client) client:close() end},
  {'resets', function(client)
    client:setoption('linger', {on = true, timeout = 0})
    client:close()
  end},
  {'shuts its direction down', function(client) client:shutdown 'send' end},
}

for _, way in ipairs(leaving) do
  local how, leave = way[1], way[2]

  T.test('a client that ' .. how .. ' costs no descriptor, and its function runs to its end', function()
    local server, clients = start(), {}
    for i = 1, 40 do
      clients[i] = connect(server)
      clients[i]:send(frame '{"guarded","a"}')
    end
    server.control.holding(40, 'a')
    for _, client in ipairs(clients) do leave(client) end
    awaitFree(server)
    T.equal(#server.control.noted(), 0, 'nothing has ended')
    server.control.release(40, 'a')
    processes.waitFor('the ends', function() return #server.control.noted() == 80 end)
    T.equal(server:errorText(), '')
    server:stop()
  end)

  T.test('a client that ' .. how .. ', cancel', function()
    local server, clients = start "on_disconnect = 'cancel'", {}
    for i = 1, 10 do
      clients[i] = connect(server)
      clients[i]:send(frame '{"guarded","a"}')
    end
    server.control.holding(10, 'a')
    for _, client in ipairs(clients) do leave(client) end
    awaitFree(server)
    processes.waitFor('the ends', function() return #server.control.noted() == 10 end)
    T.equal(server.control.noted()[10], 'closed a')
    T.equal(server:errorText(), '')
    server:stop()
  end)

  T.test('a call that comes together with its end: a client that ' .. how, function()
    local server, clients = start(), {}
    for i = 1, 20 do
      local client = connect(server)
      -- Every second one waits for its next call when both come.
      if i % 2 == 0 then
        client:send(frame '{"add",1,2}')
        T.equal(answer(client), '{true,3}')
      end
      client:send(frame '{"guarded","a"}')
      if how == 'resets' then server.control.holding(i, 'a') end
      leave(client)
      clients[i] = client
    end
    server.control.holding(20, 'a')
    awaitFree(server)
    server.control.release(20, 'a')
    processes.waitFor('the ends', function() return #server.control.noted() == 40 end)
    server:stop()
  end)
end

T.test('a function whose turn comes again and again', function()
  for _, choice in ipairs{'finish', 'cancel'} do
    local server = start(("on_disconnect = '%s'"):format(choice))
    local client = connect(server)
    client:send(frame '{"restless","a"}')
    awaitNotes(server, 'began a')
    client:close()
    awaitFree(server)
    if choice == 'finish' then
      awaitNotes(server, 'began a')
      server.control.rested(true)
      awaitNotes(server, 'began a', 'finished a', 'closed a')
    else
      awaitNotes(server, 'began a', 'closed a')
    end
    server:stop()
  end
end)

T.test('ordered: calls behind the one that waits run, too, and the descriptor is free before', function()
  local server = start 'ordered = true'
  local client = connect(server)
  client:send(frame '{"note","first"}' .. frame '{"guarded","a"}' .. frame '{"note","behind"}'
    .. frame '{"guarded","b"}' .. frame '{"note","last"}' .. '100\n{"note","never whole')
  client:close()
  awaitFree(server)
  awaitNotes(server, 'first')
  server.control.release(1, 'a')
  awaitNotes(server, 'first', 'finished a', 'closed a', 'behind')
  server.control.release(1, 'b')
  awaitNotes(server, 'first', 'finished a', 'closed a', 'behind', 'finished b', 'closed b', 'last')
  local lines = server:errorLines(1)
  T.contains(lines[1], 'disconnected: closed in the middle of a message')
  server:stop()
end)

T.test('ordered, cancel: what waits is ended, one after the other, and what does not runs', function()
  local server = start "on_disconnect = 'cancel', ordered = true"
  local client = connect(server)
  client:send(frame '{"tango.ref_create","person","horst"}')
  local id = assert(answer(client):match '"(%x+)"')
  client:send(frame '{"note","first"}' .. frame '{"guarded","a"}' .. frame '{"note","behind"}'
    .. frame('{"tango.ref_call","%s","name","anna"}', id)
    .. frame '{"guarded","b"}' .. frame '{"note","last"}' .. '100\n{"note","never whole')
  client:close()
  awaitNotes(server, 'first', 'closed a', 'behind', 'closed b', 'last')
  awaitFree(server)
  local lines = server:errorLines(1)
  T.contains(lines[1], 'disconnected: closed in the middle of a message')
  T.equal(#lines, 1)
  server:stop()
end)

T.test('ordered: much that was sent behind the call', function()
  for _, choice in ipairs{'finish', 'cancel'} do
    local server = start(("ordered = true, on_disconnect = '%s'"):format(choice))
    local client = connect(server)
    client:send(frame '{"guarded","a"}')
    client:send(frame '{"increment"}':rep(2000))
    client:close()
    if choice == 'finish' then
      awaitFree(server)
      T.equal(server.control.total(), 0)
      server.control.release(1, 'a')
    end
    processes.waitFor('all calls', function() return server.control.total() == 2000 end)
    awaitFree(server)
    server:stop()
  end
end)

T.test('a client that ends its direction only gets the answers to what does not wait', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"add",1,2}' .. frame '{"hold","a"}' .. frame '{"add",3,4}')
  client:shutdown 'send'
  T.equal(answer(client), '{true,3}')
  T.equal({answer(client)}, {nil, 'closed'})
  server.control.release(1, 'a')
  -- Nothing waits: all is answered.
  client = connect(server)
  client:send(frame '{"add",1,2}':rep(1000))
  client:shutdown 'send'
  for _ = 1, 1000 do T.equal(answer(client), '{true,3}') end
  T.equal({answer(client)}, {nil, 'closed'})
  server:stop()
end)

T.test('answer: the connection stays for a client that ends its direction only', function()
  local server = start "on_disconnect = 'answer'"
  local client = connect(server)
  client:send(frame '{"add",1,2}' .. frame '{"hold","a"}' .. frame '{"add",3,4}')
  client:shutdown 'send'
  T.equal(answer(client), '{true,3}')
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a"}')
  T.equal(answer(client), '{true,7}')
  T.equal({answer(client)}, {nil, 'closed'})
  awaitFree(server)
  server:stop()
end)

T.test('a client that leaves while authorize waits', function()
  for _, choice in ipairs{'finish', 'cancel'} do
    local server = start(("authorize = judge, on_disconnect = '%s'"):format(choice))
    server.control.allowing(false)
    local clients = {}
    for i = 1, 10 do
      clients[i] = connect(server)
      clients[i]:send(frame '{"note","called"}')
    end
    processes.waitFor('the questions', function() return #server.control.noted() == 10 end)
    for _, client in ipairs(clients) do client:close() end
    awaitFree(server)
    server.control.allowing(true)
    if choice == 'finish' then
      processes.waitFor('the calls', function() return #server.control.noted() == 20 end)
    end
    server:stop()
  end
end)

T.test('clients that have left still count until their functions have ended', function()
  local server = start 'max_connections = 3'
  for _ = 1, 2 do
    local client = connect(server)
    client:send(frame '{"hold","a"}')
    client:close()
  end
  server.control.holding(2, 'a')
  awaitFree(server)
  local client = connect(server)
  T.contains(answer(client), 'the server has 3 connections already')
  server.control.release(2, 'a')
  processes.waitFor('a place', function()
    server.control.kilobytes()
    local client = connect(server)
    client:send(frame '{"add",1,2}')
    return answer(client) == '{true,3}'
  end)
  server:stop()
end)

-- TLS: its goodbye is a message of its own.
local made = certificates.new 'localhost'
local function parameters(...) return made:parameters(...) end
local client = parameters('client', nil, 'localhost', "verify = 'peer'")

local function startSecure(fields)
  return start('ssl_timeout = 60, sslparams = ' .. made:text('server', 'localhost') .. (fields or ''), client)
end

local function secured(port)
  local plain = assert(socket.connect('127.0.0.1', port))
  local secure = assert(require 'ssl'.wrap(plain, client))
  assert(secure:dohandshake())
  secure:settimeout(60)
  return secure
end

-- Starts a client with a text to send; returns the function that lets it leave.
local goodbyes = {
  {'says goodbye', function(server, text)
    local secure = secured(server.port)
    secure:send(frame '{"add",1,2}')
    T.equal(answer(secure), '{true,3}')
    secure:send(text)
    return function() secure:close() end
  end},
  {'is killed', function(server, text)
    local client = processes.milonga('support/tls_client.lua', server.port, text)
    client:waitForOutput 'ready\n'
    return function() client:stop() end
  end},
  {'resets', function(server, text)
    local client = processes.milonga('support/tls_client.lua', server.port, text, 'reset')
    client:waitForOutput 'ready\n'
    return function() client:stop() end
  end},
}

for _, way in ipairs(goodbyes) do
  T.test('TLS, ordered: a client that ' .. way[1], function()
    for _, choice in ipairs{'finish', 'cancel'} do
      local server = startSecure((", ordered = true, on_disconnect = '%s'"):format(choice))
      local leave = {}
      for i = 1, 4 do leave[i] = way[2](server, frame '{"guarded","a"}' .. frame '{"increment"}') end
      server.control.holding(4, 'a')
      for i = 1, 4 do leave[i]() end
      awaitFree(server)
      if choice == 'finish' then
        T.equal(server.control.total(), 0)
        server.control.release(4, 'a')
      end
      processes.waitFor('the calls behind', function() return server.control.total() == 4 end)
      T.equal(#server.control.noted(), choice == 'finish' and 8 or 4)
      T.equal(server.control.add(1, 2), 3)
      T.equal(server:errorText(), '')
      server:stop()
    end
  end)
end

T.test('TLS: a goodbye that comes without the end of the connection', function()
  local server = startSecure()
  threads.test('behind a relay that keeps its connection', function()
    local relay = assert(socket.bind('127.0.0.1', 0))
    local _, port = relay:getsockname()
    local before = server:descriptors()
    local kept
    copas.addserver(relay, function(from)
      kept = socket.tcp()
      assert(copas.connect(kept, '127.0.0.1', server.port))
      copas.addthread(function()
        while true do
          local bytes, _, part = copas.receivepartial(kept, 10000)
          if not (bytes or part and part ~= '') then break end
          copas.send(from, bytes or part)
        end
      end)
      while true do
        local bytes, reason, part = copas.receivepartial(from, 10000)
        if bytes or part and part ~= '' then copas.send(kept, bytes or part) end
        if reason == 'closed' then break end
      end
    end)
    local wrapped = copas.wrap(socket.tcp(), {wrap = client})
    assert(wrapped:connect('127.0.0.1', port))
    -- What is unread when it closes would turn its goodbye into a reset.
    wrapped:send(frame '{"add",1,2}')
    T.equal(answer(wrapped), '{true,3}')
    wrapped:send(frame '{"hold","a"}')
    server.control.holding(1, 'a')
    assert(server:descriptors() == before + 1)
    wrapped:close()
    processes.waitFor('the end', function()
      copas.pause(0.001)
      return server:descriptors() <= before
    end)
    copas.removeserver(relay)
    kept:close()
  end)
  server:stop()
end)

T.test('TLS, ordered: more than is read ahead, then the end', function()
  local server = startSecure ', ordered = true'
  local secure = secured(server.port)
  secure:send(frame '{"add",1,2}')
  T.equal(answer(secure), '{true,3}')
  secure:send(frame '{"guarded","a"}')
  secure:send(frame '{"increment"}':rep(6000))
  server.control.holding(1, 'a')
  secure:close()
  awaitFree(server)
  T.equal(server.control.total(), 0)
  server.control.release(1, 'a')
  processes.waitFor('the calls', function() return server.control.total() == 6000 end)
  server:stop()
end)

made:remove()

T.test('on_disconnect must be one of three words', function()
  for _, wrong in ipairs{'stop', '', 5, true} do
    local text = T.fails("'on_disconnect' must be 'finish', 'cancel' or 'answer', not ",
      tango.server.copas_socket.new, {port = 0, on_disconnect = wrong, functab = {}})
    T.contains(text, type(wrong) == 'string' and ("'%s'"):format(wrong) or type(wrong))
  end
end)

T.finish()
