-- oks: 21
-- Unix sockets, serial devices, and objects of other libraries.
local copas = require "copas"
local unix = require "socket.unix"
local serial = require "socket.serial"
local check = require "check"

local function unixPair()
  local path = os.tmpname()
  os.remove(path)
  local server = unix.stream()
  assert(server:bind(path) and server:listen())
  local client = unix.stream()
  assert(client:connect(path))
  local accepted = server:accept()
  server:close()
  os.remove(path)
  return copas.wrap(client), copas.wrap(accepted)
end

local function later(seconds, body, ...) copas.addthread(function(...) copas.pause(seconds) body(...) end, ...) end

-- An object that keeps to LuaSocket's protocol and is none of ours.
local function foreign(inner)
  local object = {calls = 0}
  for _, name in ipairs {"getfd", "dirty", "settimeout", "send", "close", "connect"} do
    object[name] = function(_, ...) return inner[name](inner, ...) end
  end
  function object:receive(...)
    self.calls = self.calls + 1
    return inner:receive(...)
  end
  return setmetatable(object, {__tostring = function() return "tcp{foreign}" end})
end

check.run(function()
  for _, kind in ipairs {"unix", "foreign"} do
    local a, b
    if kind == "unix" then
      a, b = unixPair()
    else
      local client, accepted = check.pair()
      a, b = copas.wrap(foreign(client)), copas.wrap(accepted)
    end
    a:settimeout(60)
    later(0.01, function() b:send "he" copas.pause(0.01) b:send "llo\r\nrest" end)
    check.equal(kind .. " line", a:receive(), "hello")
    check.equal(kind .. " count", a:receive(2), "re")
    check.equal(kind .. " partial", select(3, a:receivepartial(100)), "st")
    local large = ("0123456789"):rep(200000)
    local received
    copas.addthread(function() received = b:receive(#large) end)
    check.equal(kind .. " much", a:send(large), #large)
    while not received do copas.pause(0.001) end
    check.ok(kind .. " arrives", received == large)
    a:settimeout(0.03)
    local data, message, partial = a:receive()
    check.ok(kind .. " timeout", data == nil and message == "timeout" and partial == "", data, message, partial)
    later(0.01, function() b:send "end" b:close() end)
    a:settimeout(60)
    local start = copas.gettime()
    local all, _, rest = a:receive "*a"
    check.equal(kind .. " all", all or rest, "end")
    check.ok(kind .. " end is not waited for", copas.gettime() - start < 30)
    a:close()
  end

  -- a thread that waits is told that another one closes
  local client = check.pair()
  local object = foreign(client)
  object:settimeout(0)
  local message
  copas.addthread(function() message = select(2, copas.receive(object)) end)
  copas.pause(0.01)
  check.ok("it waits, and does not try again and again", object.calls == 1, object.calls)
  copas.close(object)
  check.await(function() return message end)
  check.equal("closed while somebody waits", message, "closed")

  -- a named pipe in the place of a serial line
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  local line = copas.wrap(assert(serial(path)))
  os.remove(path)
  line:settimeout(60)
  later(0.01, function() line:send "over the line\n" end)
  check.equal("serial", line:receive(), "over the line")
  line:settimeout(0.01)
  check.equal("serial timeout", select(2, line:receive()), "timeout")
  line:close()

  check.ok("no socket", not pcall(copas.wrap, 5))
end)
