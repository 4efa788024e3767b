-- What a script changes in objects of ours, by fields, by the debug library and by metamethods
-- called by hand.
local testing = require 'testing'
local test, equal, finish = testing.test, testing.equal, testing.finish
local copas, socket = require 'copas', require 'socket'
local queue, future = require 'copas.queue', require 'copas.future'

-- A connection: both ends.
local function connection()
  local server = assert(socket.bind('127.0.0.1', 0))
  local _, port = server:getsockname()
  local client = assert(socket.connect('127.0.0.1', port))
  local peer = assert(server:accept())
  server:close()
  return client, peer
end

local function fails(pattern, f, ...)
  local ok, message = pcall(f, ...)
  assert(not ok, 'no error')
  assert(tostring(message):find(pattern), ('%q does not match %q'):format(tostring(message), pattern))
end

local odd = {255, 'x', true, {}, print, io.stdout, coroutine.create(print), 0 / 0}

test('metamethods called with anything raise errors', function()
  for _, object in ipairs {copas.wrap(socket.tcp()), socket.tcp(), socket.udp(), queue.new(), copas.wrap(socket.udp())} do
    local meta = debug.getmetatable(object)
    for name, f in pairs(meta) do
      if type(f) == 'function' and name ~= 'new' and name ~= '__gc' then
        for _, value in ipairs(odd) do fails('', f, value) end
        fails('', f)
      elseif type(f) == 'function' and name == '__gc' then
        for _, value in ipairs(odd) do assert(pcall(f, value)) end
      end
    end
  end
end)

local function overwrite(object)
  local keys = {}
  for key, value in pairs(object) do if type(value) == 'table' then keys[#keys + 1] = key end end
  assert(#keys > 0)
  for _, key in ipairs(keys) do rawset(object, key, 5) end
end

test('items of a queue that were overwritten', function()
  local q = queue.new()
  q:push(1)
  overwrite(q)
  fails("the queue's items were overwritten", q.pop, q, 0)
  fails("the queue's items were overwritten", q.push, q, 2)
end)

test('results of a future that were overwritten', function()
  copas(function()
    local f = future.addthread(function() return 1 end)
    copas.pause(0)
    overwrite(f)
    fails("the future's results were overwritten", f.get, f)
    fails("the future's results were overwritten", f.try, f)
  end)
end)

test('a part that was overwritten', function()
  local q = queue.new()
  for key in pairs(q) do rawset(q, key, io.stdout) end
  fails('copas queue expected', q.push, q, 1)
end)

test('a first upvalue of another kind', function()
  local f = copas.gettime
  local _, box = debug.getupvalue(f, 1)
  for _, value in ipairs(odd) do
    debug.setupvalue(f, 1, value)
    fails('upvalue was replaced', f)
  end
  debug.setupvalue(f, 1, nil)
  fails('upvalue was replaced', f)
  for key in pairs(debug.getregistry()) do
    if type(key) == 'userdata' then
      debug.setupvalue(f, 1, key)
      fails('upvalue was replaced', f)
    end
  end
  debug.setupvalue(f, 1, box)
  assert(f() > 0)
end)

test('a first upvalue that is let go of while the function runs', function()
  local f
  local function replace()
    debug.setupvalue(f, 1, nil)
    collectgarbage() collectgarbage()
    return 1
  end
  f = socket.protect(replace)
  fails('upvalue was replaced', f)
  local again = socket.protect(function() return 2 end)
  equal(again(), 2)
end)

test('a box that a script finalises', function()
  local f
  local function finalise()
    local _, box = debug.getupvalue(f, 1)
    debug.getmetatable(box).__gc(box)
    debug.getmetatable(box).__gc(box)
    for _, value in ipairs(odd) do debug.getmetatable(box).__gc(value) end
    collectgarbage()
    return 1
  end
  f = socket.protect(finalise)
  fails('called after', f)
  fails('called after', f)
end)

test('a box that a script finalises while Swift runs', function()
  local select = socket.select
  local _, box = debug.getupvalue(select, 1)
  local element = {getfd = function()
    debug.setupvalue(select, 1, nil)
    debug.getmetatable(box).__gc(box)
    box = nil
    collectgarbage() collectgarbage()
    return 0
  end}
  assert(pcall(select, {element}, nil, 0))
  fails('upvalue was replaced', select, nil, nil, 0)
end)

test('a socket that a script finalises is closed', function()
  local server = assert(socket.bind('127.0.0.1', 0))
  local gc = debug.getmetatable(server).__gc
  gc(server)
  gc(server)
  equal(server:getfd(), -1.0)
  assert(tostring(server):find '^tcp{server}')
  equal(select(2, server:accept()), 'closed')
end)

test('a userdata without its metatable, or with another one', function()
  local tcp = socket.tcp()
  local receive = tcp.receive
  debug.setmetatable(tcp, nil)
  fails('expected', receive, tcp)
  debug.setmetatable(tcp, debug.getmetatable(io.stdout))
  fails('expected', receive, tcp)
  debug.setmetatable(tcp, {__gc = error})
  tcp = nil
  collectgarbage()
end)

-- Two ends of a connection, the first of which a thread of Copas receives from.
local function receiving(work)
  local client, peer = connection()
  local ended
  copas(function()
    local thread = copas.addthread(function()
      copas.seterrorhandler(function(message) ended = message end)
      ended = {copas.wrap(peer):receive '*l'}
    end)
    copas.pause(0)
    work(thread, client)
    while not ended do copas.pause(0.001) end
  end)
  client:close()
  return ended
end

test('the stack of a thread that waits in receive', function()
  local message = receiving(function(thread, client)
    for level = 0, 3 do
      for slot = -2, 9 do pcall(debug.setlocal, thread, level, slot, 5) end
    end
    collectgarbage()
    client:send 'line\n'
  end)
  assert(message:find 'tcp{client} expected, got number', message)
end)

test('a thread that waits in receive and is resumed by a script', function()
  local message = receiving(function(thread, client)
    local ok, error = coroutine.resume(thread, 1, 2, 3)
    assert(not ok and error:find 'a coroutine that Copas does not run', error)
    client:send 'line\n'
  end)
  assert(message:find 'cannot resume dead coroutine', message)
end)

test('a thread that waits in receive and is closed by a script', function()
  local message = receiving(function(thread, client)
    assert(coroutine.close(thread))
    client:send 'line\n'
  end)
  assert(message:find 'cannot resume dead coroutine', message)
end)

test('how far a send got', function()
  local client, peer = connection()
  for _, offset in ipairs {-1, 1 << 40, math.mininteger, math.maxinteger} do
    local ended
    copas(function()
      local thread = copas.addthread(function()
        copas.seterrorhandler(function(message) ended = message end)
        copas.wrap(peer):send(('x'):rep(20000000))
        ended = 'sent'
      end)
      copas.pause(0.01)
      debug.setlocal(thread, 0, 6, offset)
      copas.wrap(client)
      while not ended do
        client:settimeout(0)
        client:receive(1000000)
        copas.pause(0)
      end
    end)
    assert(ended:find 'bytes', ended)
  end
end)

test('the index that a socket of another library returns', function()
  local other = {
    settimeout = function() end, getfd = function() return 0 end, close = function() end,
    send = function() return nil, 'timeout', 1e300 end,
  }
  copas(function()
    copas.settimeout(other, 0.001)
    pcall(copas.send, other, 'text')
  end)
end)

test('the times that a lock and a queue keep on the stack', function()
  local lock = require('copas.lock').new(0.01)
  copas(function()
    lock:get()
    for _, time in ipairs {math.mininteger, math.maxinteger, 'x'} do
      local thread = copas.addthread(function()
        copas.seterrorhandler(function() end)
        lock:get(0.01)
      end)
      copas.pause(0)
      debug.setlocal(thread, 0, 2, time)
    end
    copas.pause(0.03)
  end)
end)

test('an emptied registry', function()
  local f = future.addthread(function() return 'result' end)
  local q = queue.new()
  q:push 'item'
  local server = assert(socket.bind('127.0.0.1', 0))
  copas.addserver(server, function(connection) connection:close() end)
  local registry = debug.getregistry()
  local needed = {[1] = true, [2] = true, _LOADED = true, _PRELOAD = true, _CLIBS = true, ['FILE*'] = true}
  for key in pairs(registry) do
    if not needed[key] and not tostring(key):find '^_IO' then registry[key] = nil end
  end
  for _ = 1, 3 do collectgarbage() end
  local fields = {}
  copas(function()
    fields[1], fields[2] = f:get()
    fields[3] = q:pop()
    local timer = require 'copas.timer'
    timer.new {delay = 0, callback = function() fields[4] = 'rang' end}
    copas.pause(0.01)
    copas.removeserver(server)
  end)
  equal(fields, {true, 'result', 'item', 'rang'})
  equal(select(2, socket.protect(function() socket.try(nil, 'tried') end)()), 'tried')
end)

finish()
