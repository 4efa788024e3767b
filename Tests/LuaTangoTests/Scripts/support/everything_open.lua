-- Ends with servers, clients, calls, futures and references of every sort in use.
--
--   everything_open.lua HOW

local copas = require 'copas'
local tango = require 'tango'

local how = arg[1]
local functab = {
  later = function(s) copas.pause(s) return s end,
  big = function() return ('x'):rep(5000000) end,
  object = function() return {} end,
}

local cons = {}

kept = {}
local function use(con)
  cons[#cons + 1] = con
  kept[#kept + 1] = tango.ref(con.object)
  con.async.big()
  for _ = 1, 3 do copas.addthread(function() pcall(con.later, 30) end) end
  local future = con.async.later(30)
  kept[#kept + 1] = future
  for _ = 1, 2 do copas.addthread(function() pcall(future.get, future) end) end
  -- It has to wait until there is room.
  copas.addthread(function() pcall(con.async.later, 30, ('x'):rep(5000000)) end)
  -- Finalised after what it uses, or before.
  kept[#kept + 1] = setmetatable({}, {__gc = function()
    pcall(future.ready, future)
    pcall(tango.close, con)
    assert(not pcall(con.later, 1))
  end})
end

copas.addthread(function()
  local server, handler = tango.server.copas_socket.new{port = 0, functab = functab}
  copas.addserver(server, handler)
  local _, port = server:getsockname()
  local events = tango.server.ev_socket.new{port = 0, functab = functab}
  local _, other = events:getsockname()
  local zmq = tango.server.zmq.new{url = 'tcp://127.0.0.1:*', functab = functab}
  local inside = tango.server.zmq.new{url = 'inproc://inside', functab = functab}
  use(tango.client.socket.connect{port = port})
  use(tango.client.socket.connect{port = other})
  use(tango.client.zmq.connect{url = zmq:url()})
  use(tango.client.zmq.connect{url = 'inproc://inside'})
  copas.pause(0.05)
  if how == 'exit' then copas.exit() end
  if how == 'close' then os.exit(0, true) end
  if how == 'cancelall' then copas.cancelall() end
  if how == 'collect' then
    cons, kept = {}, {}
    server, handler, events, zmq, inside = nil, nil, nil, nil, nil
    collectgarbage()
    collectgarbage()
    copas.cancelall()
  end
  stopped = true
end)
copas.addthread(function()
  copas.waitforexit()
  copas.cancelall()
end)
if how == 'step' then
  while not stopped do copas.step(0.01) end
else
  copas.loop()
end
print 'the end'
