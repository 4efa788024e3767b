-- Peers that call the debug library, and functions that take their server apart: what they get is
-- an error or an answer, and the others are served.
local testing = require 'testing'
local test, equal, finish = testing.test, testing.equal, testing.finish
local copas, tango, rpc = require 'copas', require 'tango', require 'rpc'

local kept = {}
local services = {
  debug = debug,
  square = function(x) return x * x end,
  wait = function() copas.pause(0.01) return 'waited' end,
  keep = function() kept[#kept + 1] = coroutine.running() end,
  -- Every slot of every function that serves this call.
  spoil = function(waits, value)
    for level = 2, 8 do
      local info = debug.getinfo(level, 'S')
      if not info then break end
      for slot = 1, 9 do
        if info.what == 'C' and debug.getlocal(level, slot) then debug.setlocal(level, slot, value) end
      end
    end
    collectgarbage() collectgarbage()
    if waits then copas.pause(0) end
    return 1
  end,
}

local calls = {}
for level = 0, 3 do
  for slot = -2, 9 do calls[#calls + 1] = {'debug.setlocal', level, slot, 5} end
end
calls[#calls + 1] = {'debug.sethook'}
calls[#calls + 1] = {'debug.getregistry'}
for _, value in ipairs {5, 'x', false, {{}}} do
  calls[#calls + 1] = {'spoil', false, value}
  calls[#calls + 1] = {'spoil', true, value}
end

-- `connect` gives a function that calls: call(name, ...). A connection may end with an error.
local function check(connect)
  local answers = 0
  copas(function()
    local steady = connect()
    equal(steady('square', 2), 4)
    for _, request in ipairs(calls) do
      local call = connect()
      pcall(call, table.unpack(request))
      pcall(call, 'square', 2)
    end
    equal(steady('wait'), 'waited')
    steady 'keep'
    equal(steady('square', 3), 9)
    equal(connect()('square', 4), 16)
    -- Coroutines that have served, and rest, are resumed and closed by a script.
    for _, thread in ipairs(kept) do
      if coroutine.status(thread) == 'suspended' then
        for _ = 1, 3 do pcall(coroutine.resume, thread, 1, 2) end
      end
    end
    equal(connect()('square', 4), 16)
    for _, thread in ipairs(kept) do
      if coroutine.status(thread) == 'suspended' then pcall(coroutine.close, thread) end
    end
    equal(connect()('square', 5), 25)
    answers = answers + 1
    copas.exit()
    copas.cancelall()
  end)
  equal(answers, 1)
end

local function tangoCaller(port)
  return function()
    local con = tango.client.socket.connect {address = '127.0.0.1', port = port, timeout = 5}
    return function(name, ...)
      local proxy = con
      for part in name:gmatch '[^.]+' do proxy = proxy[part] end
      return proxy(...)
    end
  end
end

test('tango.server.copas_socket', function()
  local server, handler = tango.server.copas_socket.new {port = 0, functab = services}
  copas.addserver(server, handler)
  check(tangoCaller(select(2, server:getsockname())))
end)

test('tango.server.copas_socket, whose sockets are not closed by the dispatcher', function()
  copas.autoclose = false
  local server, handler = tango.server.copas_socket.new {port = 0, functab = services}
  copas.addserver(server, handler)
  check(tangoCaller(select(2, server:getsockname())))
  copas.autoclose = true
end)

test('tango.server.ev_socket', function()
  local server = tango.server.ev_socket.new {port = 0, functab = services}
  check(tangoCaller(select(2, server:getsockname())))
end)

test('rpc', function()
  local server = assert(rpc.newserveronly('127.0.0.1', 0, {functab = services}))
  local _, port = server:getsockname()
  check(function()
    local session = assert(rpc.newclient('127.0.0.1', port, {timeout = 5}))
    return function(...) return session:call(...) end
  end)
end)

test('the socket of tango.server.ev_socket, let go of', function()
  local server = tango.server.ev_socket.new {port = 0, functab = services}
  debug.setuservalue(server, nil, 1)
  collectgarbage()
  assert(not pcall(server.getsockname, server))
  server:stop()
  server:stop()
end)

test('a connection that is called while it is made', function()
  local server = assert(require('socket').bind('127.0.0.1', 0))
  local con, message
  con = tango.client.socket.connect {
    address = '127.0.0.1', port = select(2, server:getsockname()), reconnect = true, timeout = 1,
    authorize = function()
      if not con then return true end
      message = select(2, pcall(con.square, 2))
      return false
    end,
  }
  tango.close(con)
  local _, refused = pcall(con.square, 2)
  assert(message:find 'the connection is being made', message)
  assert(refused:find 'not authorized', refused)
  server:close()
end)

finish()
