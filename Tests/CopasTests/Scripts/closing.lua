-- oks: 27
local copas = require "copas"
local socket = require "socket"
local check = require "check"

--- Runs `body` in a thread while the main one goes on; the results are in the table when it ended.
local function start(body, ...)
  local results = {}
  copas.addthread(function(...)
    results = table.pack(body(...))
    results.done = true
  end, ...)
  return function() return results.done, table.unpack(results, 1, results.n) end
end
local large = ("x"):rep(16 * 1024 * 1024)

check.run(function()
  -- closed by another thread
  for _, how in ipairs {"close", "copas.close", "wrapped close"} do
    local a, peerOfA = check.pair()
    local c, peerOfC = check.pair()
    local reader = start(copas.receive, a)
    local writer = start(copas.send, c, large)
    copas.pause(0.005)
    local closing = {
      ["close"] = function(s) s:close() end, ["copas.close"] = copas.close,
      ["wrapped close"] = function(s) copas.wrap(s):close() end,
    }
    closing[how](a)
    closing[how](c)
    copas.pause()
    copas.pause()
    local done, line, err = reader()
    check.ok(how .. " ends a receive at once", done and line == nil and err == "closed", done, line, err)
    local ended, sent, why, last = writer()
    check.ok(how .. " ends a send at once", ended and sent == nil and why == "closed" and last < #large, ended, sent, why)
    peerOfA:close()
    peerOfC:close()
  end

  -- with something in the buffer
  local a, b = check.pair()
  local reader = start(copas.receive, a)
  b:send("partial")
  copas.pause(0.005)
  a:close()
  copas.pause()
  copas.pause()
  check.equal("closed", select(3, reader()), "closed")

  -- shutdown
  a, b = check.pair()
  reader = start(copas.receive, a)
  copas.pause(0.001)
  a:shutdown("receive")
  check.await(reader)
  check.equal("shutdown ends a receive", select(3, reader()), "closed")

  -- by the peer
  a, b = check.pair()
  reader = start(copas.receive, a)
  b:send("in the mid")
  copas.pause(0.002)
  b:close()
  check.await(reader)
  local done, line, err, part = reader()
  check.ok("closed in a line", done and err == "closed" and part == "in the mid", done, err, part)
  a, b = check.pair()
  reader = start(copas.receive, a)
  b:send("in the mid")
  check.arrived(a)
  copas.pause(0.005)
  check.reset(b)
  check.await(reader)
  done, line, err, part = reader()
  check.ok("reset in a line", done and line == nil and err == "closed" and part == "in the mid", done, err, part)
  a, b = check.pair()
  local writer = start(copas.send, a, large)
  copas.pause(0.005)
  check.reset(b)
  check.await(writer)
  local sent, why
  done, sent, why = writer()
  check.ok("reset while sending", done and sent == nil and why == "closed", done, sent, why)
  check.ok("and later", copas.send(a, "x") == nil and copas.receive(a) == nil)

  -- closed before
  a, b = check.pair()
  a:close()
  line, err, part = copas.receive(a)
  check.ok("receive of a closed socket", line == nil and err == "closed" and part == "", line, err, part)
  sent, err, part = copas.send(a, "x")
  check.ok("send to a closed socket", sent == nil and err == "closed" and part == 0, sent, err, part)
  check.equal("nothing is sent", copas.send(a, ""), 0)
  check.equal("closed again", copas.close(a), 1)

  -- two readers
  a, b = check.pair()
  local first, second = start(copas.receive, a), start(copas.receive, a)
  copas.pause(0.002)
  b:send("one\ntwo\n")
  check.await(function() return first() and second() end)
  local _, x = first()
  local _, y = second()
  check.ok("two readers", x == "one" and y == "two", x, y)
  first, second = start(copas.receive, a), start(copas.receive, a)
  copas.pause(0.002)
  b:send("one\n")
  check.await(first)
  b:send("two\n")
  check.await(second)
  _, x = first()
  _, y = second()
  check.ok("two readers, one by one", x == "one" and y == "two", x, y)
  first, second = start(copas.receive, a), start(copas.receive, a)
  copas.pause(0.002)
  a:close()
  copas.pause()
  copas.pause()
  check.ok("both are told", select(3, first()) == "closed" and select(3, second()) == "closed")

  -- different patterns
  a, b = check.pair()
  first = start(copas.receive, a, "*l")
  b:send("abcdefgh")
  check.arrived(a)
  copas.pause(0.005)
  second = start(copas.receive, a, 4)
  copas.pause(0.005)
  b:send("i\n")
  check.await(function() return first() and second() end)
  _, x = first()
  _, y = second()
  check.ok("a line and a count", x == "efghi" and y == "abcd", x, y)

  -- two writers
  local c, d = check.pair()
  first = start(copas.send, c, ("1"):rep(3000000))
  second = start(copas.send, c, ("2"):rep(3000000))
  local ones, twos = 0, 0
  while ones + twos < 6000000 do
    local chunk = copas.receive(d, 100000)
    ones = ones + select(2, chunk:gsub("1", ""))
    twos = twos + select(2, chunk:gsub("2", ""))
  end
  copas.pause()
  copas.pause()
  check.ok("two writers", ones == 3000000 and twos == 3000000 and first() and second(), ones, twos)

  -- a reader and a writer on one socket
  c, d = check.pair()
  reader, writer = start(copas.receive, c), start(copas.send, c, large)
  copas.pause(0.002)
  d:send("both\n")
  local got = copas.receive(d, #large)
  check.await(function() return reader() and writer() end)
  check.ok("a reader and a writer", #got == #large and select(2, reader()) == "both" and select(2, writer()) == #large)

  -- a connect that is under way
  local full = socket.tcp4()
  full:bind("127.0.0.1", 0)
  full:listen(0)
  local _, port = full:getsockname()
  local waiting = {}
  for i = 1, 4 do
    waiting[i] = socket.tcp4()
    waiting[i]:settimeout(0)
    waiting[i]:connect("127.0.0.1", port)
  end
  local late = socket.tcp()
  local connecting = start(copas.connect, late, "127.0.0.1", port)
  copas.pause(0.01)
  late:close()
  check.await(connecting)
  local finished, ok = connecting()
  check.ok("a connect ends when the socket is closed", finished and late:getfd() == -1, finished, ok)

  -- two objects with one descriptor
  local e, f = check.pair()
  local twin = check.pair()
  twin:close()
  twin:setfd(e:getfd())
  first, second = start(copas.receive, e), start(copas.receive, twin)
  copas.pause(0.002)
  f:send("one\n")
  check.await(function() return first() or second() end)
  f:send("two\n")
  check.await(function() return first() and second() end)
  local g, h = select(2, first()), select(2, second())
  check.ok("two objects with one descriptor", g and h and g ~= h, g, h)
  twin:setfd(-1)
  e:close()

  -- numbers that are no descriptors
  for _, number in ipairs {900, 2 ^ 30, -7} do
    local wild = check.pair()
    wild:close()
    wild:setfd(number)
    local got, problem = copas.receive(wild)
    check.ok("descriptor " .. number, got == nil and type(problem) == "string", got, problem)
    wild:setfd(-1)
  end
end)
