-- Peers that make a server hold something: they send more than it takes, and do not read.

local processes = require 'processes'

local pressure = {}

-- Statements for a server: `turns` tells how often its dispatcher has looked around.
pressure.countTurns = [[
  local copas = require 'copas'
  local steps = 0
  function turns() return steps end
  function copas.loop()
    repeat
      steps = steps + 1
      copas.step()
    until copas.finished()
  end
]]

-- Sends as much of the text as the server and the system take. From then on the peer waits 0.05 s
-- at most.
function pressure.push(peer, text)
  peer:settimeout(0.05)
  local from = 1
  while from <= #text do
    local last, _, partial = peer:send(text, from)
    from = (last or partial) + 1
    if not last then return end
  end
end

-- Whether the server has closed the connection.
function pressure.isClosed(peer)
  peer:settimeout(0)
  local _, reason = peer:receive(1)
  return reason ~= 'timeout'
end

-- Waits until one of the peers is disconnected.
function pressure.waitUntilClosed(peers)
  processes.waitFor('a disconnection', function()
    for _, peer in ipairs(peers) do if pressure.isClosed(peer) then return true end end
  end)
end

return pressure
