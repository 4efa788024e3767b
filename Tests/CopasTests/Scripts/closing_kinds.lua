-- oks: 45
-- A thread that waits for a wrapped socket is told when another thread closes it, and the
-- descriptor is free at once; for every kind of socket.
local copas = require "copas"
local socket = require "socket"
local unix = require "socket.unix"
local serial = require "socket.serial"
local check = require "check"
local secure = require "secure"

local function path()
  local name = os.tmpname()
  os.remove(name)
  return name
end

local function isOpen(descriptor)
  local _, _, status = os.execute("test -e /proc/$PPID/fd/" .. string.format("%d", descriptor))
  return status == 0
end

--- Both ends of a Unix connection.
local function unixPair()
  local name = path()
  local server = unix.stream()
  assert(server:bind(name) and server:listen())
  local client = unix.stream()
  assert(client:connect(name))
  local accepted = server:accept()
  server:close()
  os.remove(name)
  return client, accepted
end

-- An object that keeps to LuaSocket's protocol and is none of ours.
local function foreign(inner, name)
  local object = {}
  for _, method in ipairs {"getfd", "settimeout", "send", "receive", "close", "receivefrom", "sendto"} do
    object[method] = function(_, ...) return inner[method](inner, ...) end
  end
  return setmetatable(object, {__tostring = function() return name end})
end

local function boundUDP()
  local u = socket.udp()
  assert(u:setsockname("127.0.0.1", 0))
  return u
end

-- For each kind: an object, and what has to stay alive meanwhile.
local kinds = {
  {"tcp", check.pair},
  {"udp{unconnected}", boundUDP, "receivefrom"},
  {"udp{connected}", function()
    local u, peer = boundUDP(), boundUDP()
    assert(u:setpeername(peer:getsockname()))
    return u, peer
  end},
  {"unix{client}", unixPair},
  {"unixdgram{unconnected}", function()
    local u, name = unix.dgram(), path()
    assert(u:bind(name))
    os.remove(name)
    return u
  end, "receivefrom"},
  {"unixdgram{connected}", function()
    local u, peer, name = unix.dgram(), unix.dgram(), path()
    assert(peer:bind(name) and u:connect(name))
    os.remove(name)
    return u, peer
  end},
  {"serial", function()
    local name = path()
    assert(os.execute("mkfifo " .. name))
    local line = assert(serial(name))
    os.remove(name)
    return line
  end},
  {"LuaSec", secure.pair},
  {"a foreign stream", function()
    local a, b = check.pair()
    return foreign(a, "tcp{foreign}"), b
  end},
  {"a foreign datagram socket", function() return foreign(boundUDP(), "udp{foreign}") end, "receivefrom"},
}

check.run(function()
  for _, kind in ipairs(kinds) do
    local name, make, method = kind[1], kind[2], kind[3] or "receive"
    for _, how in ipairs {"close", "copas.close"} do
      local plain, peer = make()
      local wrapped = copas.wrap(plain)
      local descriptor = plain:getfd()
      local told, done
      copas.addthread(function()
        told = table.pack(wrapped[method](wrapped))
        done = true
      end)
      copas.pause(0.005)
      check.ok(name .. " waits", not done and isOpen(descriptor), told and told[2])
      local closed = (how == "close" and wrapped.close or copas.close)(how == "close" and wrapped or plain)
      local isFree = not isOpen(descriptor)
      check.await(function() return done end)
      check.ok(how .. " of " .. name .. " ends a wait, and frees the descriptor",
        (closed or name == "LuaSec") and isFree and told[1] == nil and told[2] == "closed", closed, isFree, told[1], told[2])
      if peer and type(peer) ~= "string" then peer:close() end
    end
  end

  -- The port is free again.
  local u = copas.wrap(socket.udp())
  u:setsockname("127.0.0.1", 0)
  local _, port = u:getsockname()
  u:close()
  check.equal("the port is free", socket.udp():setsockname("127.0.0.1", port), 1)

  -- Servers: a handler that serves a datagram socket is told, and one of the same number that comes
  -- next is served.
  for _, family in ipairs {"udp", "unix"} do
    local server, name = family == "udp" and boundUDP() or unix.dgram(), path()
    if family == "unix" then assert(server:bind(name)) end
    local reason, served
    copas.addserver(server, function(skt) reason = select(2, copas.wrap(skt):receivefrom()) end)
    copas.pause(0.005)
    copas.wrap(server):close()
    local next = boundUDP()
    copas.addserver(next, function(skt) served = copas.wrap(skt):receivefrom() end)
    check.await(function() return reason end)
    check.equal("the handler of a " .. family .. " server is told", reason, "closed")
    local _, port = next:getsockname()
    boundUDP():sendto("x", "127.0.0.1", port)
    check.await(function() return served end)
    copas.removeserver(next)
    os.remove(name)
  end

  -- A listening socket is served no more.
  local server, port = check.listener()
  copas.addserver(server, print)
  copas.pause(0.005)
  copas.wrap(server):close()
  check.equal("a closed server refuses", select(2, socket.connect("127.0.0.1", port)), "connection refused")
  check.ok("and its port is free", socket.bind("127.0.0.1", port))
end)
secure.certificates:remove()
