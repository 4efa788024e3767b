-- oks: 23
-- exit, timeouts, status, names, and what is collected when nothing happens.
local copas = require "copas"
local socket = require "socket"
local check = require "check"

-- exit
check.equal("not exiting", copas.exiting(), false)
local order = {}
copas.addthread(function()
  copas.waitforexit()
  order[#order + 1] = "told"
  copas.pause(0.01)
  order[#order + 1] = tostring(copas.exiting())
end)
copas.addthread(function() copas.pause(0.01) order[#order + 1] = "worked" end)
copas.loop()
check.equal("the end is announced when nothing is left", table.concat(order, " "), "worked told true")
check.equal("exiting stays", copas.exiting(), true)
order = {}
copas.addthread(function()
  order[#order + 1] = tostring(copas.exiting())
  copas.addthread(function() copas.waitforexit() order[#order + 1] = "told" end)
  copas.pause(0.01)
  copas.exit()
  copas.waitforexit()
  order[#order + 1] = "at once"
  copas.pause(0.01)
  order[#order + 1] = "goes on"
end)
copas.loop()
check.equal("announced by hand", table.concat(order, " "), "false at once told goes on")

-- timeouts
check.run(function()
  local me, fired, start = coroutine.running(), nil, copas.gettime()
  check.equal("set", copas.timeout(0.02, function(co) fired = co copas.wakeup(co) end), true)
  local slept = copas.pauseforever()
  check.ok("fired with the coroutine", fired == me)
  check.ok("in time", copas.gettime() - start >= 0.019 and slept < 30, slept)
  copas.timeout(100, error)
  copas.timeout(200, error)
  check.equal("one for each coroutine", copas.gettimeouts(), 1)
  copas.timeout(0)
  check.equal("cancelled", copas.gettimeouts(), 0)
  check.ok("negative", not pcall(copas.timeout, -1, print))
  copas.timeout(0.01, function() copas.pause(0.01) order = "waited" copas.wakeup(me) end)
  copas.pauseforever()
  check.equal("a callback may wait", order, "waited")
end)
local reported
copas.seterrorhandler(function(message, co) reported = message .. copas.getthreadname(co) end, true)
check.run(function()
  copas.timeout(0.01, function() error("in a callback", 0) end)
  copas.pause(0.03)
end)
copas.seterrorhandler(function(...) check.ok("no error", false, ...) end, true)
check.equal("an error in a callback", reported, "in a callbackcopas_core_timer")
local started = copas.gettime()
check.run(function() copas.timeout(200, print) end)
check.ok("the loop does not wait for a timeout alone", copas.gettime() - started < 60)

-- status
check.run(function()
  local a = check.pair()
  copas.addthread(function() copas.receive(a) end)
  copas.addthread(function() copas.pause(500) end)
  local sleeper = copas.addthread(copas.pauseforever)
  copas.pause(0.01)
  local s = copas.status(true)
  local seen = ("%s %d %d %d %d %d"):format(s.running, s.read, s.write, s.active, s.timer, s.inactive)
  check.equal("status", seen, "true 1 0 0 1 1")
  check.equal("no statistics yet", s.steps, nil)
  for _ = 1, 3 do copas.pause(0.005) end
  s = copas.status()
  check.ok("statistics", s.steps >= 1 and s.duration_max >= s.duration_min and s.time_tot >= 0.01, s.steps)
  check.equal("switched off", copas.status(false).steps, nil)
  copas.cancelall()
  check.ok("everything is given up", copas.exiting() and copas.status().read == 0 and coroutine.status(sleeper) == "dead")
end)

-- names
copas.loop(function()
  check.equal("the initializer", copas.getthreadname(), "copas_initializer")
  local t = copas.addnamedthread("named", function() check.equal("its own", copas.getthreadname(), "named") end)
  copas.setthreadname("renamed", copas.addthread(print))
  local s = copas.wrap(socket.tcp())
  copas.setsocketname("my socket", s)
  check.equal("a socket's", copas.getsocketname(s) .. copas.getthreadname(t), "my socketnamed")
end)

-- Threads that no other can wake, and connections that the program has dropped, are collected while
-- nothing happens.
local ended = false
local threads = setmetatable({}, {__mode = "k"})
check.run(function()
  local server, port = check.listener()
  threads[copas.addthread(copas.pauseforever)] = true
  copas.addserver(server, function(skt)
    copas.receive(skt, "*a")
    ended = true
    copas.removeserver(server)
  end)
  local c = socket.tcp()
  copas.connect(c, "127.0.0.1", port)
end)
check.ok("a forgotten connection is closed", ended)
check.ok("a forgotten thread is gone", next(threads) == nil)
