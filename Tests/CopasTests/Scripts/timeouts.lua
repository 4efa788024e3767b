-- oks: 26
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local function timed(least, body, ...)
  local start = socket.gettime()
  local results = table.pack(body(...))
  local seconds = socket.gettime() - start
  assert(seconds >= least - 0.002 and seconds < 60, ("took %f, not %f"):format(seconds, least))
  return table.unpack(results, 1, results.n)
end

check.run(function()
  local a, b = check.pair()
  check.equal("settimeout", copas.settimeout(a, 0.02), true)
  local line, err, part = timed(0.02, copas.receive, a)
  check.ok("receive times out", line == nil and err == "timeout" and part == "", line, err, part)
  b:send("half")
  check.arrived(a)
  line, err, part = timed(0.02, copas.receive, a)
  check.ok("with what there was", line == nil and err == "timeout" and part == "half", line, err, part)
  line, err, part = copas.receive(a, "*l", "kept")
  check.ok("with the prefix", err == "timeout" and part == "kept", line, err, part)
  line, err, part = copas.receive(a, 100)
  check.ok("of a count", err == "timeout" and part == "")
  b:send("some")
  check.arrived(a)
  line, err, part = copas.receive(a, "*a")
  check.ok("of everything", line == nil and err == "timeout" and part == "some", line, err, part)
  b:send("in time\n")
  check.arrived(a)
  check.equal("data in time", copas.receive(a), "in time")

  -- data that trickles in does not prolong it
  local trickling = true
  copas.settimeout(a, 0.1)
  copas.addthread(function()
    for _ = 1, 40 do
      b:send("x")
      copas.pause(0.01)
    end
    trickling = false
  end)
  line, err, part = timed(0.1, copas.receive, a)
  check.ok("the time counts from the start", err == "timeout" and #part > 0 and #part < 40, err, part)
  local count = #part
  while trickling do copas.pause(0.001) end
  copas.settimeout(a, 0)
  check.arrived(a)
  line, err, part = timed(0, copas.receive, a, 1000)
  check.ok("timeout 0 takes what is there", err == "timeout" and #part > 0, err, part)
  count = count + #part
  while count < 40 do
    check.arrived(a)
    count = count + #select(3, copas.receive(a, 1000))
  end
  line, err, part = copas.receive(a)
  check.ok("timeout 0 without data", err == "timeout" and part == "", err, part)
  copas.settimeout(a, -1)
  copas.addthread(function() copas.pause(0.03) b:send("late\n") end)
  check.equal("no timeout", timed(0.02, copas.receive, a), "late")
  copas.settimeouts(a, nil, nil, 0.01)
  check.equal("settimeouts: receive", select(2, copas.receive(a)), "timeout")
  copas.settimeouts(a, 5, 5, nil)
  check.equal("nil leaves it", select(2, copas.receive(a)), "timeout")
  copas.settimeouts(a, nil, nil, -1)
  copas.addthread(function() copas.pause(0.02) b:send("again\n") end)
  check.equal("negative takes it away", copas.receive(a), "again")

  -- wrong values
  for i, f in ipairs {"timeout", "connect timeout", "send timeout", "read timeout"} do
    local arguments = {nil, nil, nil}
    arguments[math.max(1, i - 1)] = "1"
    local good, message = (i == 1 and copas.settimeout or copas.settimeouts)(a, table.unpack(arguments, 1, 3))
    check.ok("wrong " .. f, good == nil and message == f .. " must be 'nil' or a number", good, message)
  end

  -- send
  copas.settimeout(a, 0.03)
  local large = ("x"):rep(32 * 1024 * 1024)
  local sent, why, last = timed(0.03, copas.send, a, large)
  check.ok("send times out", sent == nil and why == "timeout" and last > 0 and last < #large, sent, why, last)
  local again, _, more = copas.send(a, large, last + 1)
  check.ok("and again", again == nil and more >= last, again, more)
  a:close()
  b:close()

  -- connect: to a backlog that is full
  local full = socket.tcp4()
  full:bind("127.0.0.1", 0)
  full:listen(0)
  local _, port = full:getsockname()
  local waiting = {}
  for i = 1, 3 do
    waiting[i] = socket.tcp4()
    waiting[i]:settimeout(0)
    waiting[i]:connect("127.0.0.1", port)
  end
  local c = copas.wrap(socket.tcp())
  c:settimeout(0.03)
  local ok, reason = timed(0.03, c.connect, c, "127.0.0.1", port)
  check.ok("connect times out", ok == nil and reason == "timeout", ok, reason)
  check.ok("and is a client", c.socket.class == "tcp{client}")
  c:close()

  -- accepted sockets have the server's timeouts
  local server, serverPort = check.listener()
  local result
  copas.addserver(server, function(skt) result = select(2, copas.receive(skt)) end, 0.01)
  local d = socket.connect("127.0.0.1", serverPort)
  check.await(function() return result end)
  check.equal("addserver's timeout", result, "timeout")
  d:close()
  copas.removeserver(server)

  -- many deadlines that are moved
  local ticks, longest
  repeat
    local e, f = check.pair()
    local last = socket.gettime()
    ticks, longest = 0, 0
    local function note()
      longest = math.max(longest, socket.gettime() - last)
      last = socket.gettime()
    end
    copas.settimeout(e, 0.4)
    copas.addthread(function()
      for _ = 1, 40 do
        copas.pause(0.015)
        f:send("tick\n")
      end
      f:close()
    end)
    while copas.receive(e) do
      ticks = ticks + 1
      note()
    end
    note()
    -- The next tick may not have come in time.
    if ticks < 40 then check.arrived(e) note() end
  until ticks == 40 or longest < 0.35
  check.equal("each receive has its own time", ticks, 40)

  -- one timed out thread leaves another one in peace
  local g, h = check.pair()
  local results = {}
  copas.settimeout(g, 0.02)
  copas.addthread(function() results[1] = select(2, copas.receive(g)) end)
  copas.pause(0.01)
  copas.settimeout(g, -1)
  copas.addthread(function() results[2] = copas.receive(g) end)
  copas.pause(0.03)
  h:send("for the second\n")
  check.await(function() return results[2] end)
  check.ok("the first", results[1] == "timeout", results[1])
  check.ok("the second", results[2] == "for the second", results[2])
end)
