-- oks: 38
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local function greeter(text)
  return function(skt) copas.send(skt, text .. "\n") end
end
local function ask(port)
  local c = copas.wrap(socket.tcp())
  local ok, err = c:connect("127.0.0.1", port)
  if not ok then return nil, err end
  local line = c:receive()
  c:close()
  return line
end

check.run(function()
  local server, port = check.listener()
  copas.addserver(server, greeter "one")
  check.equal("serves", ask(port), "one")
  copas.addserver(server, greeter "two")
  check.equal("another handler", ask(port), "two")
  check.equal("removeserver, kept open", copas.removeserver(server, true), true)
  check.ok("still open", server:getfd() >= 0)

  -- Connections that come while the server rests are served later.
  local waiting = {}
  for i = 1, 3 do waiting[i] = socket.connect("127.0.0.1", port) end
  copas.pause(0.01)
  copas.addserver(server, greeter "three")
  local lines = 0
  for i = 1, 3 do
    if copas.receive(waiting[i]) == "three" then lines = lines + 1 end
    waiting[i]:close()
  end
  check.equal("served when added again", lines, 3)
  for i = 1, 3 do
    copas.removeserver(server, true)
    copas.addserver(server, greeter("round " .. i))
    check.equal("round " .. i, ask(port), "round " .. i)
  end
  check.equal("removeserver", copas.removeserver(server), 1)
  check.equal("closed", server:getfd(), -1)
  local good, err = pcall(function() copas.addserver(server, print) end)
  check.ok("a closed server", not good and err:find("closed", 1, true), err)

  for what, arguments in pairs {
    ["nothing"] = {}, ["a master"] = {socket.tcp(), print}, ["no handler"] = {check.listener()},
    ["a client"] = {check.pair(), print},
  } do
    good, err = pcall(function() copas.addserver(table.unpack(arguments)) end)
    check.ok("not a server: " .. what, not good and err:find("expected", 1, true), err)
  end

  -- A handler removes its own server.
  server, port = check.listener()
  copas.addserver(server, function(skt)
    copas.removeserver(server)
    copas.send(skt, "last\n")
  end)
  local c1, c2 = socket.connect("127.0.0.1", port), socket.connect("127.0.0.1", port)
  check.equal("a handler removes its server", copas.receive(c1), "last")
  c1:close()
  c2:close()

  -- A server that is closed behind the dispatcher's back.
  server, port = check.listener()
  copas.addserver(server, print)
  copas.pause(0.005)
  server:close()
  copas.pause(0.005)
  check.ok("closed elsewhere", true)

  -- the wrapped server
  server, port = check.listener()
  copas.addserver(copas.wrap(server), greeter "wrapped")
  check.equal("a wrapped server", ask(port), "wrapped")
  copas.removeserver(copas.wrap(server))
  check.equal("is closed", server:getfd(), -1)

  -- autoclose
  server, port = check.listener()
  local kept
  copas.addserver(server, function(skt) kept = skt end)
  local c = socket.connect("127.0.0.1", port)
  copas.receive(c)
  local closed, first = kept:getfd() == -1, kept
  c:close()
  copas.autoclose = false
  c = socket.connect("127.0.0.1", port)
  check.await(function() return kept ~= first end)
  copas.settimeout(c, 0.02)
  local _, why = copas.receive(c)
  check.ok("autoclose", closed and why == "timeout" and kept:getfd() >= 0, closed, why)
  copas.autoclose = true
  c:close()
  kept:close()
  copas.removeserver(server)
end)
check.ok("nothing is left", copas.finished())

-- Unix sockets
check.run(function()
  local unix = require "socket.unix"
  local path = os.tmpname()
  os.remove(path)
  local server = unix.stream()
  assert(server:bind(path))
  assert(server:listen())
  copas.addserver(server, copas.handler(function(skt)
    skt:send("to " .. skt:receive() .. " from " .. copas.getthreadname():match ":(.*)$" .. "\n")
  end), 5, "path")
  for i = 1, 2 do
    local c = copas.wrap(unix.stream())
    check.equal("connects", c:connect(path), 1)
    c:send("me\n")
    check.equal("a Unix server", c:receive(), "to me from handler_" .. i)
    c:close()
  end
  copas.removeserver(server)
  check.equal("closed", server:getfd(), -1)
  os.remove(path)
end)

-- Objects of another library
check.run(function()
  local calls = {}
  local function stranger(own)
    return setmetatable({}, {
      __index = function(_, name)
        local method = own[name]
        return method and function(_, ...)
          calls[name] = (calls[name] or 0) + 1
          local result, err = method(own, ...)
          return name == "accept" and result and stranger(result) or result, err
        end
      end,
      __tostring = function() return "strange socket" end,
    })
  end
  local own, port = check.listener()
  local server = stranger(own)
  copas.addserver(server, function(skt)
    check.ok("named as others", copas.getsocketname(skt):find("strange socket:client_%d$"), copas.getsocketname(skt))
    copas.send(skt, "echo " .. copas.receive(skt) .. "\n")
  end)
  for i = 1, 2 do
    local c = copas.wrap(socket.tcp())
    c:connect("127.0.0.1", port)
    copas.pause(0.001)
    c:send(i .. "\n")
    check.equal("a stranger's server", c:receive(), "echo " .. i)
    check.ok("its connection is closed", select(2, c:receive()) == "closed")
    c:close()
  end
  check.ok("never blocks", calls.settimeout == 3 and calls.accept >= 4, calls.settimeout, calls.accept)
  check.equal("removeserver, kept open", copas.removeserver(server, true), true)
  check.ok("still open", own:getfd() >= 0)
  copas.addserver(server, function() end)
  copas.removeserver(server)
  check.equal("closed", own:getfd(), -1)
  check.ok("closed already", not pcall(copas.addserver, server, print))

  -- One whose accept fails rests, and then goes on.
  own, port = check.listener()
  local failures = 0
  server = setmetatable({
    accept = function()
      failures = failures + 1
      if failures == 1 then return nil, "out of something" end
      if failures == 2 then error "worse" end
      return own:accept()
    end,
  }, {__index = function(_, name) return function(_, ...) return own[name](own, ...) end end})
  copas.addserver(server, greeter "at last")
  check.equal("goes on", ask(port), "at last")
  copas.removeserver(server)
end)
