-- Clients that write the wire by hand, and servers that note what they do.

local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'

local by_hand = {}

local notes = [[
  local copas = require 'copas'
  local notes = {}
  function note(text) notes[#notes + 1] = text return text end
  function noted() return notes end
  -- Waits, and notes how it ends.
  function guarded(key)
    local guard <close> = setmetatable({}, {__close = function() note('closed ' .. key) end})
    hold(key)
    note('finished ' .. key)
    return key
  end
]]

-- A server with an ordinary client, `control`, and the number of its descriptors, `before`.
--
-- setup: Lua statements that it runs behind those above.
-- parameters: of the control's TLS.
function by_hand.start(setup, fields, parameters)
  local server = processes.server(fields or '', notes .. setup)
  server.control = tango.client.socket.connect{port = server.port, timeout = 60, sslparams = parameters}
  server.control.echo(1)
  server.before = server:descriptors()
  return server
end

function by_hand.frame(format, ...)
  local text = format:format(...)
  return #text .. '\n' .. text
end

function by_hand.connect(server)
  local client = assert(socket.connect('127.0.0.1', server.port))
  client:settimeout(60)
  return client
end

-- The text of the next answer, or nil and why there is none.
function by_hand.answer(client)
  local size, reason = client:receive '*l'
  if not size then return nil, reason end
  return client:receive(tonumber(size))
end

-- Waits until the server has no more descriptors than before its clients.
function by_hand.awaitFree(server)
  processes.waitFor('free descriptors', function()
    return server:descriptors() <= server.before
  end)
end

function by_hand.awaitNotes(server, ...)
  local wanted, found = T.describe{...}, nil
  local ok = pcall(processes.waitFor, 'notes', function()
    found = T.describe(server.control.noted())
    return found == wanted
  end)
  if not ok then error(('expected %s, found %s'):format(wanted, found), 2) end
end

return by_hand
