-- oks: 15
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local server, port = check.listener()
copas.addserver(server, function(skt) copas.send(skt, "hello\n") end)

check.run(function()
  local function try(host, number, make)
    local c = (make or socket.tcp)()
    local ok, err = copas.connect(c, host, number or port)
    local line = ok and copas.receive(c)
    local class = c.class
    c:close()
    return line, err, class
  end
  check.equal("by address", try("127.0.0.1"), "hello")
  check.equal("by name", try("localhost"), "hello")
  check.equal("port as string", try("127.0.0.1", tostring(port)), "hello")
  check.equal("tcp4 by name", try("localhost", port, socket.tcp4), "hello")
  local line, err, class = try("nosuch.invalid")
  check.ok("no such name", line == nil and #err > 0 and class == "tcp{client}", line, err, class)
  line, err = try("not a name")
  check.ok("not a name", line == nil and #err > 0, line, err)
  line, err = try("127.0.0.1", "no such service")
  check.ok("no such service", line == nil and #err > 0, line, err)
  line, err, class = try("127.0.0.1", check.freePort())
  check.ok("refused", line == nil and err == "connection refused" and class == "tcp{client}", line, err)
  line, err = try("localhost", check.freePort())
  check.ok("refused, by name", line == nil and err == "connection refused", line, err)
  line, err = try("::1", port, socket.tcp4)
  check.ok("an address of another family", line == nil and #err > 0, line, err)

  -- twice
  local c = socket.tcp()
  copas.connect(c, "127.0.0.1", port)
  local ok, why = copas.connect(c, "127.0.0.1", port)
  check.ok("already connected", ok == nil and why == "already connected", ok, why)
  c:close()
  check.equal("after close", copas.connect(c, "localhost", port), 1)
  c:close()

  -- Looking names up does not stop other threads.
  local answers, ticks = 0, 0
  for _ = 1, 30 do
    copas.addthread(function()
      local skt = copas.wrap(socket.tcp())
      if skt:connect("localhost", port) and skt:receive() == "hello" then answers = answers + 1 end
      skt:close()
    end)
  end
  while answers < 30 do
    copas.pause(0.001)
    ticks = ticks + 1
  end
  check.ok("many look-ups", ticks > 0)

  -- Threads that are gone when the answer comes.
  for _ = 1, 20 do
    local thread = copas.addthread(function() copas.connect(socket.tcp(), "localhost", port) end)
    copas.pause()
    copas.removethread(thread)
  end
  local timed = socket.tcp()
  copas.settimeout(timed, 0)
  copas.connect(timed, "localhost", port)
  check.ok("given up", true)
  for _, wrong in ipairs {{}, true} do pcall(copas.connect, socket.tcp(), wrong, port) end
  check.ok("wrong host", not pcall(copas.connect, socket.tcp(), nil, port))
  copas.removeserver(server)
end)
