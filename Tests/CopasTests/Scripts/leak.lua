-- oks: 9
-- Many connections at once, then none; all is as it was. Run with two descriptors for each of the
-- connections that the argument tells.
local copas = require "copas"
local socket = require "socket"
local check = require "check"

-- Lua's table of strings has a size that is a power of two, and shrinks when a quarter of it is
-- used. With these strings it is far from that, before and after.
local strings = {}
for i = 1, 500 do strings[i] = "string " .. i end

local connections = tonumber(arg[1])
local server, port = check.listener()
local most, open = 0, 0
copas.addserver(server, function(skt)
  open = open + 1
  most = math.max(most, open)
  while true do
    local line = copas.receive(skt)
    if not line then break end
    copas.send(skt, line .. "\n")
  end
  open = open - 1
end)

local function registrySize()
  local count = 0
  for _ in pairs(debug.getregistry()) do count = count + 1 end
  return count
end

local function coroutines()
  local seen, count, found = {}, 0, {debug.getregistry()}
  while #found > 0 do
    local object = table.remove(found)
    for key, value in next, object do
      for _, v in ipairs {key, value} do
        if not seen[v] then
          seen[v] = true
          if type(v) == "thread" then count = count + 1 end
          if type(v) == "table" then found[#found + 1] = v end
        end
      end
    end
  end
  return count
end

local function state()
  collectgarbage()
  collectgarbage()
  return {
    descriptors = check.descriptors(), memory = collectgarbage "count", registry = registrySize(),
    coroutines = coroutines(),
  }
end

--- Holds so many connections at once, each of which is answered `rounds` times.
local function load(count, rounds)
  local clients, answers = {}, 0
  for i = 1, count do
    local c = socket.tcp()
    assert(copas.connect(c, "127.0.0.1", port))
    clients[i] = c
  end
  for round = 1, rounds do
    for i, c in ipairs(clients) do assert(copas.send(c, ("%d of %d\n"):format(i, round))) end
    for i, c in ipairs(clients) do
      if copas.receive(c) == ("%d of %d"):format(i, round) then answers = answers + 1 end
    end
  end
  for i, c in ipairs(clients) do
    -- Some end it as one should, some do not.
    if i % 10 == 0 then check.reset(c) else c:close() end
  end
  while open > 0 do copas.pause() end
  return answers
end

check.run(function()
  -- Tables that keep their size, and buffers that are kept for later, have grown before counting.
  load(connections, 2)
  most = 0
  local before = state()
  for _ = 1, 2 do
    check.equal("all are answered", load(connections, 2), 2 * connections)
    check.equal("at once", most, connections)
  end
  local after = state()
  check.equal("descriptors", after.descriptors, before.descriptors)
  check.equal("coroutines", after.coroutines, before.coroutines)
  check.ok("memory", after.memory <= before.memory + 16, before.memory, after.memory)
  check.ok("registry", after.registry <= before.registry, before.registry, after.registry)
  copas.removeserver(server)
end)
check.ok("nothing is left", copas.finished())
