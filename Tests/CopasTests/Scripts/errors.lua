-- oks: 30
local copas = require "copas"
local socket = require "socket"
local check = require "check"

-- printed, by default
local text = check.printed(function()
  copas.addthread(function() error "first" end)
  copas.addthread(function() error({code = 7}) end)
  copas.addthread(function() error(setmetatable({}, {__tostring = function() return "speaks" end})) end)
  copas.addthread(function() error() end)
  copas.addthread(function() local _ = nil + 1 end)
  copas.loop()
end)
check.ok("text with position", text:find("errors.lua:8: first (coroutine: thread: 0x", 1, true), text)
check.ok("and socket", text:find("socket: nil)", 1, true), text)
check.ok("and traceback", text:find("stack traceback:.-errors.lua:8", 1), text)
check.ok("a table", text:find "\ntable: 0x%x+ %(coroutine", text)
check.ok("a table that speaks", text:find("speaks (coroutine", 1, true), text)
check.ok("nil", text:find "\n%(coroutine: thread", text)
check.ok("of Lua itself", text:find("attempt to perform arithmetic on a nil value", 1, true), text)

-- isolated
local others = 0
text = check.printed(function()
  for i = 1, 20 do
    copas.addthread(function()
      copas.pause()
      if i % 2 == 0 then error("no " .. i) end
      copas.pause()
      others = others + 1
    end)
  end
  copas.loop()
end)
check.equal("others go on", others, 10)
check.equal("each is reported", select(2, text:gsub("no %d+ %(coroutine", "")), 10)

-- handlers of threads
local seen = {}
local thread = copas.addthread(function()
  copas.seterrorhandler(function(err, co, skt) seen = {err, co, skt} end)
  error({"object"})
end)
copas.loop()
check.ok("a thread's own handler", type(seen[1]) == "table" and seen[1][1] == "object" and seen[2] == thread and seen[3] == nil)
local count = 0
text = check.printed(function()
  copas.addthread(function()
    copas.seterrorhandler(function() count = count + 1 end)
    copas.pause()
    copas.seterrorhandler(nil)
    error "unhandled"
  end)
  copas.addthread(function() error "not its handler" end)
  copas.loop()
end)
check.ok("taken away", count == 0 and text:find("unhandled", 1, true) and text:find("not its handler", 1, true), text)

-- a handler that fails
for what, value in pairs {
  ["text"] = "broken", ["a table"] = {}, ["nil"] = false,
  ["a table that fails to speak"] = setmetatable({}, {__tostring = function() error({}) end}),
} do
  text = check.printed(function()
    copas.addthread(function()
      copas.seterrorhandler(function() error(value or nil) end)
      error "x"
    end)
    copas.loop()
  end)
  check.ok("handler fails with " .. what, text:find("Failed executing error handler: ", 1, true), text)
end

-- servers' handlers
local server, port = check.listener()
copas.addserver(server, copas.handler(function(skt)
  local line = skt:receive()
  if line == "fail" then error("handler failed") end
  skt:send(line .. "\n")
end))
text = check.printed(function()
  check.run(function()
    local good, bad = socket.connect("127.0.0.1", port), socket.connect("127.0.0.1", port)
    bad:send("fail\n")
    local line, why = copas.receive(bad)
    good:send("fine\n")
    local answer = copas.receive(good)
    assert(line == nil and why == "closed" and answer == "fine", tostring(why) .. tostring(answer))
    good:close()
    bad:close()
    copas.removeserver(server)
  end)
end)
check.ok("a failing handler's connection is closed, the others' not", text:find("handler failed (coroutine: ", 1, true), text)
check.ok("the report names the socket", text:find("socket: tcp{server}: 0x", 1, true), text)

-- the default handler
local errors = {}
copas.seterrorhandler(function(err, co) errors[#errors + 1] = tostring(err) .. type(co) end, true)
copas.addthread(function() error("caught", 0) end)
copas.loop()
check.equal("a default handler", errors[1], "caughtthread")
check.ok("not without a function", not pcall(copas.seterrorhandler, nil, true))
check.ok("nor with something else", not pcall(copas.seterrorhandler, {}) and not pcall(copas.seterrorhandler, "x", true))

-- What handlers do in there does no harm.
local log = {}
copas.seterrorhandler(function(_, co)
  log[#log + 1] = tostring(select(2, pcall(copas.loop)))
  log[#log + 1] = tostring(select(2, pcall(copas.step)))
  log[#log + 1] = tostring(select(2, pcall(copas.pause)))
  copas.removethread(co)
  copas.wakeup(co)
  copas.addthread(function() log[#log + 1] = "new thread" end)
end, true)
copas.addthread(error, "one")
copas.addthread(error, "two")
local fine
copas.addthread(function() copas.pause(0.01) fine = true end)
copas.loop()
check.ok("handlers cannot enter the loop",
  log[1]:find("runs already", 1, true) and log[2]:find("runs already", 1, true), log[1], log[2])
check.ok("nor wait", log[3]:find("not inside a Copas thread", 1, true), log[3])
check.ok("but start threads", log[7] == "new thread" and log[8] == "new thread" and fine, #log)

-- errors of all kinds after a wait
copas.seterrorhandler(function(err) errors[#errors + 1] = err end, true)
errors = {}
local a, b = check.pair()
copas.addthread(function()
  local line = copas.receive(a)
  error(line, 0)
end)
copas.addthread(function() b:send("after a wait\n") end)
copas.loop()
check.equal("after a wait", errors[1], "after a wait")
errors = {}
copas.addthread(function() coroutine.yield(1, 2, 3) end)
copas.addthread(function() coroutine.yield() end)
copas.loop()
check.ok("a yield of its own", #errors == 2 and errors[1]:find("user-code cannot yield to Copas", 1, true), errors[1])

-- the socket that a thread has waited for last
local sockets = {}
copas.seterrorhandler(function(err, _, skt) sockets[err] = skt end, true)
local c, d = check.pair()
copas.addthread(function()
  copas.receive(c)
  copas.receive(a)
  error("second", 0)
end)
copas.addthread(function()
  copas.wrap(c):receive()
  copas.pause()
  error("wrapped", 0)
end)
copas.addthread(function() error("none", 0) end)
copas.addthread(function()
  local e, f = check.pair()
  local peer = copas.addthread(function() copas.send(f, "x\n") end)
  copas.receive(e)
  e, f, peer = nil, nil, nil
  collectgarbage()
  collectgarbage()
  error("dropped", 0)
end)
copas.addthread(function()
  d:send("one\ntwo\n")
  copas.pause()
  b:send("three\n")
end)
copas.loop()
check.equal("the last of two", sockets.second, a)
check.equal("of a wrapper", sockets.wrapped, c)
check.equal("a thread without any", sockets.none, nil)
check.equal("one that is gone", sockets.dropped, nil)
check.ok("gettraceback", copas.gettraceback("text"):find("text (coroutine: nil, socket: nil)\nstack traceback:", 1, true))
