-- oks: 6
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local function echo(skt)
  while true do
    local line, err = copas.receive(skt)
    if not line then return err end
    copas.send(skt, line .. "\n")
  end
end
local function echoWrapped(skt)
  while true do
    local line = skt:receive()
    if not line then return end
    skt:send(line .. "\n")
  end
end
local servers = {
  ["plain handler"] = echo,
  ["handler that wraps"] = function(skt) return echoWrapped(copas.wrap(skt)) end,
  ["copas.handler"] = copas.handler(echoWrapped),
}

for _, name in ipairs {"plain handler", "handler that wraps", "copas.handler"} do
  local server, port = check.listener()
  copas.addserver(server, servers[name])
  local answers, clients = 0, 120
  for i = 1, clients do
    copas.addthread(function()
      local c = copas.wrap(socket.tcp())
      assert(c:connect("127.0.0.1", port))
      for j = 1, 20 do
        local text = ("client %d message %d"):format(i, j)
        assert(c:send(text .. "\n"))
        if assert(c:receive()) == text then answers = answers + 1 end
      end
      c:close()
      clients = clients - 1
      if clients == 0 then copas.removeserver(server) end
    end)
  end
  copas.loop()
  check.equal(name .. " answers all", answers, 120 * 20)
end

-- pipelined: more operations than a turn has
local server, port = check.listener()
copas.addserver(server, echo)
check.run(function()
  local c = copas.wrap(socket.connect("127.0.0.1", port))
  local parts = {}
  for i = 1, 5000 do parts[i] = "line " .. i .. "\n" end
  copas.addthread(function() assert(c:send(table.concat(parts))) end)
  local good = 0
  for i = 1, 5000 do
    if c:receive() == "line " .. i then good = good + 1 end
  end
  check.equal("pipelined lines come back in order", good, 5000)
  c:close()
  copas.removeserver(server)
end)

-- the wrapper
local a, b = check.pair()
local w = copas.wrap(a)
check.ok("wrap is idempotent", copas.wrap(w) == w and w.socket == a and tostring(w):find "copas wrapped" ~= nil)
check.run(function()
  local ip, p, family = w:getpeername()
  check.ok("forwarded methods",
    ip == "127.0.0.1" and p > 0 and family == "inet" and w:setoption("keepalive", true) == 1
    and w:getoption("keepalive") == true and w:getstats() == 0 and w:settimeouts(1, 2, 3) == true
    and w:shutdown("send") == 1 and b:receive() == nil and w:flush() == nil and w:close() == 1)
end)
