-- oks: 32
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local function logged(core, body)
  local lines = {}
  copas.debug.start(function(...) lines[#lines + 1] = table.concat({...}) end, core)
  check.run(body)
  copas.debug.stop()
  return lines
end

-- turns

do
  local lines = logged(false, function()
    copas.setthreadname("sleeper")
    copas.pause(0.002)
    copas.pause(0)
  end)
  check.ok("begins unnamed", lines[1]:find "^resuming 'thread: ", lines[1])
  check.ok("sleeps", lines[2]:find "^yielding 'sleeper' to SLEEP for 0%.00[12] seconds$", lines[2])
  check.equal("resumed", lines[3], "resuming 'sleeper'")
  check.equal("gives up its turn", lines[4], "yielding 'sleeper' to SLEEP for 0 seconds")
  check.equal("resumed again", lines[5], "resuming 'sleeper'")
  check.equal("ends", lines[6], "exiting 'sleeper'")
  check.equal("that is all", #lines, 6)
end

do
  local a, b = check.pair()
  copas.setsocketname("A", a)
  local function transfer(skt)
    return logged(false, function()
      copas.addnamedthread("reader", function() copas.receive(skt) end)
      copas.addnamedthread("writer", function() copas.pause(0) copas.send(b, "line\n") end)
    end)
  end
  local text = table.concat(transfer(a), "\n")
  check.ok("reads", text:find("yielding 'reader' to READ on 'A'", 1, true), text)
  check.ok("for the socket", text:find("resuming 'reader' for socket 'A'", 1, true), text)
  text = table.concat(transfer(copas.wrap(a)), "\n")
  check.ok("reads what is wrapped", text:find("yielding 'reader' to READ on 'A'", 1, true), text)
  a:close()
  b:close()
end

do
  local function body()
    copas.timeout(0.001, function() end)
    copas.pause(0.005)
  end
  local text = table.concat(logged(false, body), "\n")
  check.ok("the core is not logged", not text:find("copas_core_timer", 1, true), text)
  text = table.concat(logged(true, body), "\n")
  check.ok("but when asked for", text:find("resuming 'copas_core_timer'", 1, true), text)
end

do
  local lines = 0
  copas.debug.start(function() lines = lines + 1 error "no more" end)
  check.run(function() copas.pause(0) copas.pause(0) end)
  check.equal("a logger that fails is not called again", lines, 1)
  check.ok("a logger is a function", not pcall(copas.debug.start, "print"))
  local text = check.printed(function()
    copas.debug.start()
    check.run(function() copas.setthreadname "printed" end)
    copas.debug.stop()
  end)
  check.ok("print by default", text:find("exiting '\tprinted\t'", 1, true), text)
  text = check.printed(function() check.run(function() copas.pause(0) end) end)
  check.equal("stopped", text, "")
end

-- threads that compute for too long

do
  local reports = {}
  local function report(...) reports[#reports + 1] = table.pack(...) end
  local function compute(seconds)
    local finish = socket.gettime() + seconds
    while socket.gettime() < finish do for _ = 1, 1000 do end end
  end
  copas.debug.watchdog(0.02, report)
  check.run(function()
    copas.addnamedthread("busy", function()
      compute(0.05)
      copas.pause(0)
      compute(0.05)
    end)
    -- On a loaded machine the watchdog may bark at this one, too.
    copas.addnamedthread("modest", function() for _ = 1, 10 do copas.pause(0.001) end end)
  end)
  for i = #reports, 1, -1 do if reports[i][1] == "modest" then table.remove(reports, i) end end
  check.equal("once in each turn", #reports, 2)
  local name, seconds, traceback = table.unpack(reports[1])
  check.equal("the name", name, "busy")
  check.ok("the time", seconds > 0.02 and seconds < 60, seconds)
  check.ok("the place", traceback:find("in upvalue 'compute'", 1, true), traceback)

  reports = {}
  check.run(function()
    copas.setthreadname "waits the wrong way"
    socket.sleep(0.04)
  end)
  check.equal("in a C function", #reports, 1)
  check.equal("its name", reports[1][1], "waits the wrong way")

  reports = {}
  check.run(function()
    copas.setthreadname "outer"
    coroutine.wrap(function() compute(0.05) end)()
  end)
  check.equal("in a coroutine of its own", #reports, 1)
  check.ok("there", reports[1][1] == "outer" and reports[1][3]:find "compute", reports[1][3])

  reports = {}
  copas.debug.watchdog(0.01, function(...) report(...) error "cannot report" end)
  check.run(function() compute(0.03) check.ok("goes on after a failing report", true) end)
  check.equal("reported to it", #reports, 1)

  reports = {}
  copas.debug.watchdog(nil)
  check.run(function() compute(0.03) end)
  check.equal("stopped, too", #reports, 0)
  check.ok("seconds", not pcall(copas.debug.watchdog, -1))
end

-- sockets that tell what is done with them

do
  local a, b = check.pair()
  local text = check.printed(function()
    check.run(function()
      local debugged = copas.debug.socket(copas.wrap(a))
      copas.addthread(function() copas.pause(0) copas.send(b, ("x"):rep(40) .. "\n") end)
      local line = debugged:receive("*l")
      if line ~= ("x"):rep(40) then print("wrong: " .. tostring(line)) end
      debugged:send("answer\n")
    end)
  end)
  check.ok("what is called", text:find("calling 'receive' of 'tcp{client}", 1, true), text)
  check.ok("long strings are cut", text:find("data: '" .. ("x"):rep(30) .. "(...truncated)' (string #40)", 1, true), text)
  check.ok("works as before", not text:find("wrong", 1, true) and b:receive() == "answer", text)
  check.ok("only sockets", not pcall(copas.debug.socket, 1))
  a:close()
  b:close()
end
