-- Calls of one connection run side by side when their functions wait; their answers keep the order
-- of the calls.

local by_hand = require 'by_hand'
local certificates = require 'certificates'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'

local setup = [[
  -- Ends its own thread, before it waits or while it does.
  function suicidal(waits)
    if waits then copas.pause(0) end
    copas.removethread(coroutine.running())
    copas.pause(0)
    return 'not reached'
  end
  function broken(key) hold(key) return function() end end
  function failing(key) hold(key) error('failed ' .. key, 0) end
  value = 1
  -- What the variable is before and after a wait.
  function values(key)
    local before = value
    hold(key)
    return before, value
  end
  -- Removes its own thread, and returns without a wait.
  function leaves() copas.removethread(coroutine.running()) return 'returned' end
  local threads = {}
  -- Waits as a thread that others can find.
  function known(name) threads[name] = coroutine.running() hold(name) threads[name] = nil return name end
  late = setmetatable({}, {__mode = 'v'})
  function remember(name) late[name] = coroutine.running() return hold(name) end
  function wake(name) return copas.wakeup(late[name]) end
  -- A field of it ends the thread that waits under a name, when it is read.
  ending = setmetatable({}, {__index = function(_, name)
    if threads[name] then copas.removethread(threads[name]) end
    return 'looked up'
  end})
  function trap() return ending end
  object = {hold = function(_, key) hold(key) return 'held ' .. key end, name = function() return 'name' end}
  function get() return object end
  bigs, most, running = 0, 0, 0
  function big() bigs = bigs + 1 return ('x'):rep(10000) end
  -- Notes how many of it run at the same time.
  function busy(key)
    running = running + 1
    most = math.max(most, running)
    hold(key)
    running = running - 1
    return most
  end
]]

local frame, connect, answer = by_hand.frame, by_hand.connect, by_hand.answer
local awaitFree, awaitNotes = by_hand.awaitFree, by_hand.awaitNotes

local function start(fields, parameters) return by_hand.start(setup, fields, parameters) end

T.test('what does not wait runs beside what waits, and is answered behind it', function()
  local server, client = start()
  client = connect(server)
  client:send(frame '{"note","first"}' .. frame '{"hold","a","x"}' .. frame '{"note","behind"}'
    .. frame '{"hold","b"}' .. frame '{"note","last"}')
  T.equal(answer(client), '{true,"first"}')
  awaitNotes(server, 'first', 'behind', 'last')
  -- The second call is over first.
  server.control.release(1, 'b')
  client:settimeout(0)
  T.equal({client:receive(1)}, {nil, 'timeout', ''})
  client:settimeout(60)
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a","x"}')
  T.equal(answer(client), '{true,"behind"}')
  T.equal(answer(client), '{true,"b"}')
  T.equal(answer(client), '{true,"last"}')
  server:stop()
end)

T.test('coroutines and futures of one connection', function()
  local server = start()
  local con, futures = server.control, {}
  for i = 1, 100 do futures[i] = con.async.busy 'a' end
  local control = tango.client.socket.connect{port = server.port, timeout = 60}
  control.release(100, 'a')
  for i = 1, 100 do T.equal(futures[i]:get(), 100) end
  server:stop()
end)

T.test('so many at a time, and then more', function()
  for _, limit in ipairs{1, 3, 256} do
    local server = start(limit == 256 and '' or ('max_concurrent_calls = %d'):format(limit))
    local client = connect(server)
    client:send(frame '{"busy","a"}':rep(2 * limit + 1) .. frame '{"note","end"}')
    for count = 1, 2 * limit + 1, limit do
      server.control.release(math.min(limit, 2 * limit + 2 - count), 'a')
    end
    for _ = 1, 2 * limit + 1 do T.equal(answer(client), ('{true,%d}'):format(limit)) end
    T.equal(answer(client), '{true,"end"}')
    server:stop()
  end
end)

T.test('ordered: one after the other', function()
  local server = start 'ordered = true'
  local client = connect(server)
  client:send(frame '{"hold","a"}' .. frame '{"note","behind"}' .. frame '{"hold","b"}'
    .. frame '{"note","last"}')
  server.control.holding(1, 'a')
  T.equal(#server.control.noted(), 0)
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a"}')
  T.equal(answer(client), '{true,"behind"}')
  T.equal(#server.control.noted(), 1)
  server.control.release(1, 'b')
  T.equal(answer(client), '{true,"b"}')
  T.equal(answer(client), '{true,"last"}')
  server:stop()
end)

T.test('a variable: what comes behind a write sees it', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"values","a"}' .. frame '{"value",2}' .. frame '{"value"}' .. frame '{"values","a"}')
  server.control.release(2, 'a')
  T.equal(answer(client), '{true,1,2}')
  T.equal(answer(client), '{true}')
  T.equal(answer(client), '{true,2}')
  T.equal(answer(client), '{true,2,2}')
  server:stop()
end)

T.test('an object that was released while a method of it waits', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"tango.ref_create","get"}')
  local id = assert(answer(client):match '"(%x+)"')
  client:send(frame('{"tango.ref_call","%s","hold","a"}', id) .. frame('{"tango.ref_release","%s"}', id)
    .. frame('{"tango.ref_call","%s","name"}', id))
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"held a"}')
  T.equal(answer(client), '{true}')
  T.contains(answer(client), 'invalid id')
  server:stop()
end)

T.test('errors, and answers that cannot be written', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"failing","a"}' .. frame '{"broken","a"}' .. frame '{"add",1,2}')
  server.control.holding(2, 'a')
  server.control.release(2, 'a')
  T.equal(answer(client), '{false,"failed a"}')
  T.contains(answer(client), 'function')
  T.equal(answer(client), '{true,3}')
  server:stop()
end)

T.test('a call that ends its own thread costs its answer and nothing else', function()
  local server = start()
  local client = connect(server)
  -- The first one is carried out by the task with which the connection ends.
  client:send(frame '{"hold","a"}' .. frame '{"suicidal",true}' .. frame '{"suicidal",false}'
    .. frame '{"add",1,2}')
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a"}')
  T.equal(answer(client), '{false,"tango server error: the call was ended"}')
  T.equal(answer(client), '{false,"tango server error: the call was ended"}')
  T.equal(answer(client), '{true,3}')
  client:close()
  server:stop()
end)

T.test('a call that removes its thread and returns, behind one that waits', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"hold","a"}' .. frame '{"leaves"}' .. frame '{"add",1,2}')
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a"}')
  T.equal(answer(client), '{true,"returned"}')
  T.equal(answer(client), '{true,3}')
  client:close()
  server:stop()
end)

T.test('a call that is ended in the middle of another request', function()
  for _, first in ipairs{true, false} do
    local server = start()
    local client = connect(server)
    client:send(frame '{"tango.ref_create","trap"}')
    local id = assert(answer(client):match '"(%x+)"')
    -- The connection ends with the task of its first call that waits.
    if not first then client:send(frame '{"hold","a"}') end
    client:send(frame '{"known","b"}')
    server.control.holding(1, 'b')
    server.control.release(1, 'b')
    client:send(frame '{"known","c"}')
    server.control.holding(1, 'c')
    -- A task whose turn comes is removed at once.
    client:send(frame '{"release",1,"c"}' .. frame('{"tango.ref_call","%s","c"}', id) .. frame '{"add",1,2}')
    if not first then
      server.control.release(1, 'a')
      T.equal(answer(client), '{true,"a"}')
      T.equal(answer(client), '{true,"b"}')
    end
    processes.waitFor('the server to go on', function() return server.control.add(1, 2) == 3 end)
    T.equal(server:errorText(), '')
    server:stop()
  end
end)

T.test('idle threads that the program wakes', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"remember","a"}' .. frame '{"add",1,2}')
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a"}')
  T.equal(answer(client), '{true,3}')
  for round = 1, 5 do
    server.control.wake('a')
    client:send(frame '{"hold","b"}' .. frame '{"hold","c"}')
    server.control.holding(1, 'b')
    server.control.release(1, 'c')
    server.control.release(1, 'b')
    T.equal(answer(client), '{true,"b"}')
    T.equal(answer(client), '{true,"c"}')
    client:send(frame('{"add",1,%d}', round))
    T.equal(answer(client), ('{true,%d}'):format(1 + round))
  end
  server:stop()
end)

-- Answers that cannot be written at all.
local fragile = 'serialize = function(t) if t[2] == "bad" or t[1] == false then error "no" end'
  .. ' return tango.codec.tango.encode(t) end, unserialize = function(s) return tango.codec.tango.decode(s) end'

local function startFragile(fields)
  return by_hand.start("tango = require 'tango'" .. setup, (fields or '') .. fragile)
end

T.test('the first answer that cannot be written is the last one', function()
  local server = startFragile()
  local client = connect(server)
  client:send(frame '{"hold","x"}' .. frame '{"hold","bad"}' .. frame '{"hold","bad"}')
  server.control.holding(2, 'bad')
  server.control.release(2, 'bad')
  server.control.echo(1)
  server.control.release(1, 'x')
  T.equal(answer(client), '{true,"x"}')
  T.contains(answer(client), 'could not be serialized')
  T.equal({answer(client)}, {nil, 'closed'})
  server:errorLines(1)
  server:stop()
end)

T.test('an answer that cannot be written, to a client that has left', function()
  local server = startFragile 'max_connections = 2, '
  local client = connect(server)
  client:send(frame '{"hold","bad"}')
  server.control.holding(1, 'bad')
  client:close()
  awaitFree(server)
  server.control.release(1, 'bad')
  processes.waitFor('its place', function()
    server.control.kilobytes()
    local client = connect(server)
    client:send(frame '{"add",1,2}')
    return answer(client) == '{true,3}'
  end)
  server:stop()
end)

T.test('a client that leaves behind bytes that are no message', function()
  local server = start "on_disconnect = 'cancel'"
  local client = connect(server)
  client:send(frame '{"guarded","a"}' .. 'rubbish\n')
  server.control.holding(1, 'a')
  server:errorLines(1)
  client:close()
  awaitFree(server)
  awaitNotes(server, 'closed a')
  server:stop()
end)

T.test('a client that leaves: what ran runs to its end, or is ended', function()
  for _, choice in ipairs{'finish', 'cancel'} do
    local server = start(("on_disconnect = '%s'"):format(choice))
    local client = connect(server)
    client:send(frame '{"guarded","a"}':rep(20) .. frame '{"note","behind"}')
    server.control.holding(20, 'a')
    client:close()
    awaitFree(server)
    if choice == 'finish' then
      server.control.release(20, 'a')
      processes.waitFor('the ends', function() return #server.control.noted() == 41 end)
    else
      processes.waitFor('the ends', function() return #server.control.noted() == 21 end)
    end
    T.equal(server:errorText(), '')
    server:stop()
  end
end)

T.test('answer: a client that ends its direction gets all answers', function()
  local server = start "on_disconnect = 'answer'"
  local client = connect(server)
  client:send(frame '{"hold","a"}' .. frame '{"hold","b"}' .. frame '{"add",3,4}')
  client:shutdown 'send'
  server.control.holding(1, 'a')
  server.control.release(1, 'b')
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a"}')
  T.equal(answer(client), '{true,"b"}')
  T.equal(answer(client), '{true,7}')
  T.equal({answer(client)}, {nil, 'closed'})
  awaitFree(server)
  server:stop()
end)

T.test('bytes that are no message: the answers before them arrive', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"hold","a"}' .. frame '{"add",1,2}' .. 'rubbish\n')
  server.control.holding(1, 'a')
  server:errorLines(1)
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a"}')
  T.equal(answer(client), '{true,3}')
  T.contains(answer(client), 'tango server error')
  T.equal({answer(client)}, {nil, 'closed'})
  server:stop()
end)

T.test('many answers behind a call that waits are bounded', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"hold","a"}' .. frame '{"big"}':rep(1000))
  processes.waitFor('so many that no more are begun', function() return server.control.bigs() > 100 end)
  for _ = 1, 20 do server.control.echo(1) end
  T.equal(server.control.bigs(), 105)
  server.control.release(1, 'a')
  T.equal(answer(client), '{true,"a"}')
  for _ = 1, 1000 do T.equal(#answer(client), 10009) end
  server:stop()
end)

T.test('ten thousand calls of a client that is killed', function()
  local server = start()
  local client = connect(server)
  client:send(frame '{"busy","a"}':rep(10000))
  server.control.holding(256, 'a')
  client:setoption('linger', {on = true, timeout = 0})
  client:close()
  awaitFree(server)
  T.equal(server.control.most(), 256)
  T.equal(server.control.add(1, 2), 3)
  server:stop()
end)

T.test('idle_timeout counts from the end of the last call', function()
  local server = start 'idle_timeout = 0.2'
  local client = connect(server)
  client:send(frame '{"hold","a"}' .. frame '{"later",0.5,"b"}')
  local other = connect(server)
  other:send(frame '{"later",0.6,"c"}' .. frame '{"release",1,"a"}')
  T.equal(answer(other), '{true,"c"}')
  T.equal(answer(client), '{true,"a"}')
  T.equal(answer(client), '{true,"b"}')
  T.contains(answer(client), 'nothing came for 0.2 seconds')
  T.equal({answer(client)}, {nil, 'closed'})
  server:stop()
end)

T.test('TLS', function()
  local made = certificates.new 'localhost'
  local parameters = made:parameters('client', nil, 'localhost', "verify = 'peer'")
  for _, fields in ipairs{'', ', max_concurrent_calls = 2'} do
    local server = start('ssl_timeout = 60, sslparams = ' .. made:text('server', 'localhost') .. fields,
      parameters)
    local plain = assert(socket.connect('127.0.0.1', server.port))
    local client = assert(require 'ssl'.wrap(plain, parameters))
    assert(client:dohandshake())
    client:settimeout(60)
    client:send(frame '{"hold","a"}' .. frame '{"hold","b"}' .. frame '{"add",1,2}')
    server.control.release(1, 'b')
    server.control.release(1, 'a')
    T.equal(answer(client), '{true,"a"}')
    T.equal(answer(client), '{true,"b"}')
    T.equal(answer(client), '{true,3}')
    server:stop()
  end
  made:remove()
end)

T.test('wrong limits', function()
  for _, wrong in ipairs{0, -1, 1.5, 'many', {}} do
    T.fails("'max_concurrent_calls'", tango.server.copas_socket.new,
      {port = 0, max_concurrent_calls = wrong, functab = {}})
  end
end)

T.finish()
