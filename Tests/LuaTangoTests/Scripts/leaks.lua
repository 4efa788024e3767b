-- Clients come, call, and go: nothing of them stays.

local copas = require 'copas'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'
local test = T.test

local server = processes.server('', [[
  objects, coroutines = setmetatable({}, {__mode = 'k'}), setmetatable({}, {__mode = 'k'})
  local make = person
  function person(name)
    local object = make(name)
    objects[object] = true
    coroutines[coroutine.running()] = true
    return object
  end
  -- Numbers in the registry are places that are free. A few coroutines of ev_socket are kept there
  -- for the next connections that need one.
  local pools = os.getenv 'TANGO_SERVER' == 'ev_socket'
  local function size(t)
    local n, threads = 0, 0
    for _, value in pairs(t) do
      if pools and type(value) == 'thread' then
        threads = threads + 1
      elseif type(value) ~= 'number' then
        n = n + 1
      end
    end
    return threads > 70 and n + threads or n
  end
  function census()
    collectgarbage()
    collectgarbage()
    return {objects = size(objects), coroutines = size(coroutines), registry = size(debug.getregistry())}
  end
]])
local witness = tango.client.socket.connect{port = server.port}

local function frame(body) return #body .. '\n' .. body end

-- Everything that could be left behind.
local function measure()
  local census = witness.census()
  if os.getenv 'TANGO_SERVER' == 'ev_socket' and census.coroutines <= 64 then census.coroutines = 0 end
  census.descriptors = server:descriptors()
  return census, witness.kilobytes(), server:memory()
end

local function expectNothingLeft(visits, visit)
  for i = 1, 200 do visit(i) end
  collectgarbage()
  collectgarbage()
  local before, kilobytes, memory
  processes.waitFor('the first clients to be gone', function()
    before, kilobytes, memory = measure()
    return before.objects == 0 and before.coroutines == 0
  end)
  for i = 1, visits do
    visit(i)
    if i % 100 == 0 then collectgarbage() end
  end
  collectgarbage()
  collectgarbage()
  local after, kilobytesAfter, memoryAfter
  pcall(processes.waitFor, 'the clients to be gone', function()
    after, kilobytesAfter, memoryAfter = measure()
    return T.describe(after) == T.describe(before)
  end)
  T.equal(after, before)
  assert(kilobytesAfter < kilobytes + 64, ('%g KB became %g KB'):format(kilobytes, kilobytesAfter))
  assert(memoryAfter < memory + (8 << 20), ('%d bytes became %d'):format(memory, memoryAfter))
end

test('2,000 clients with references, half of them gone without a word', function()
  expectNothingLeft(2000, function(i)
    if i % 2 == 0 then
      local con = tango.client.socket.connect{port = server.port}
      local person = tango.ref(con.person, 'horst')
      T.equal(person:name(), 'horst')
      if i % 4 == 0 then tango.unref(person) end
      return
    end
    local peer = assert(socket.connect('127.0.0.1', server.port))
    peer:send(frame '{"tango.ref_create","person","horst"}')
    if i % 4 == 1 then
      -- In the middle of the next message, and with a reset.
      peer:receive '*l'
      peer:send '50\n{"echo"'
      peer:setoption('linger', {on = true, timeout = 0})
    end
    peer:close()
  end)
end)

test('500 clients that go while their call is carried out', function()
  expectNothingLeft(500, function()
    local peer = assert(socket.connect('127.0.0.1', server.port))
    peer:send(frame '{"tango.ref_create","person","horst"}' .. frame '{"later",0.02}')
    peer:receive '*l'
    peer:close()
  end)
end)

test('300 clients at a time', function()
  local visits = 0
  local function crowd()
    for _ = 1, 300 do
      copas.addthread(function()
        local con = tango.client.socket.connect{port = server.port}
        T.equal(tango.ref(con.person, 'horst'):name(), 'horst')
        visits = visits + 1
      end)
    end
    copas.loop()
    collectgarbage()
    collectgarbage()
  end
  crowd()
  local before
  processes.waitFor('the first clients to be gone', function()
    before = measure()
    return before.objects == 0
  end)
  for _ = 1, 3 do crowd() end
  T.equal(visits, 1200)
  local after
  pcall(processes.waitFor, 'the clients to be gone', function()
    after = measure()
    return T.describe(after) == T.describe(before)
  end)
  T.equal(after, before)
end)

test('a client lets go of what it had, too', function()
  local function visit()
    local con = tango.client.socket.connect{
      port = server.port, serialize = function() return '{"add",1,2}' end,
      unserialize = function() return {true} end,
    }
    con.add()
    pcall(tango.client.socket.connect, {serialize = print, unserialize = 'wrong'})
    pcall(tango.client.socket.connect, {serialize = print, max_depth = 'wrong'})
    local socket = tango.server.copas_socket.new{
      port = 0, functab = {}, serialize = print, unserialize = print,
    }
    socket:close()
    pcall(tango.server.copas_socket.new, {interface = '*', serialize = print})
    pcall(tango.server.copas_socket.new, {functab = {}, serialize = print, unserialize = 'wrong'})
  end
  local function visits(n)
    for i = 1, n do
      visit()
      if i % 10 == 0 then collectgarbage() end
    end
  end
  visits(50)
  local before, kilobytes = T.registered(), collectgarbage 'count'
  visits(200)
  T.equal(T.registered(), before)
  assert(collectgarbage 'count' < kilobytes + 64)
end)

server:stop()
T.finish()
