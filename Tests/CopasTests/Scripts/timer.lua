-- oks: 41
local copas = require "copas"
local check = require "check"
local timer = copas.timer

check.ok("copas.timer is the module", timer == require "copas.timer")
local function fails(what, text, ...)
  local good, err = pcall(function(...) timer.new(...) end, ...)
  check.ok(what, not good and err:find("timer.lua:%d+: " .. text .. "$") ~= nil, err)
end
fails("no delay", "delay must be greater than or equal to 0", {callback = print})
fails("a negative delay", "delay must be greater than or equal to 0", {delay = -1, callback = print})
fails("a negative first delay", "delay must be greater than or equal to 0", {delay = 1, callback = print, initial_delay = -1})
fails("no callback", "expected callback to be a function", {delay = 1})
check.ok("no options", not pcall(timer.new))

-- once
local fired = {}
local start = copas.gettime()
local t = timer.new {
  delay = 0.01, params = "something",
  callback = function(...) fired[#fired + 1] = {copas.gettime() - start, copas.getthreadname(), ...} end,
}
check.ok("default names", t.name:find("^copas_timer_%d+$") ~= nil, t.name)
check.equal("nothing yet", #fired, 0)
copas.loop()
check.ok("once, after its delay", #fired == 1 and fired[1][1] >= 0.009 and fired[1][1] < 30)
check.ok("with the timer and params", fired[1][3] == t and fired[1][4] == "something" and #fired[1] == 4)
check.equal("in a thread of its name", fired[1][2], t.name)
local none, why = t:cancel()
check.ok("then it is not armed", none == nil and why == "not armed", why)
check.equal("arm returns the timer", t:arm(), t)
none, why = t:arm()
check.ok("once at a time", none == nil and why == "already armed", why)
check.equal("cancel returns it, too", t:cancel(), t)
none, why = t:cancel()
check.ok("cancelled", none == nil and why == "not armed", why)
local good
good, why = pcall(t.arm, t, -1)
check.ok("a negative delay to arm", not good and why:find("delay must be greater than or equal to 0") ~= nil, why)
start = copas.gettime()
copas.loop()
check.ok("and nothing is left to do", #fired == 1 and copas.gettime() - start < 30)

-- recurring
local times, first = {}, nil
copas.addthread(function()
  copas.pause(0.009)
  first = first or "a thread"
end)
start = copas.gettime()
t = timer.new {
  name = "again", delay = 0.01, initial_delay = 0, recurring = true,
  callback = function(self)
    times[#times + 1] = copas.gettime() - start
    first = first or "the timer"
    if #times == 4 then
      none, why = self:arm()
      self:cancel()
    end
  end,
}
check.equal("a name", t.name, "again")
copas.loop()
check.equal("until it is cancelled, by itself", #times, 4)
check.ok("at once, then after each delay",
  first == "the timer" and times[2] >= 0.01 and times[4] >= 0.03 and times[4] < 30, first, times[4])
check.ok("armed all the time", none == nil and why == "already armed", why)
check.equal("arm with a delay", t:arm(1000), t)
copas.addthread(function() copas.pause(0.002) t:cancel() end)
copas.loop()
check.equal("cancelled by another", #times, 4)

-- what a callback may change
local delays, last = {}, copas.gettime()
t = timer.new {
  delay = 0.001, recurring = true,
  callback = function(self)
    delays[#delays + 1] = copas.gettime() - last
    last = copas.gettime()
    self.delay = self.delay + 0.01
    self.count = (self.count or 0) + 1
    if self.count == 3 then self.recurring = false self:cancel() end
  end,
}
copas.loop()
check.ok("the delay, and fields of its own", #delays == 3 and delays[3] >= 0.02, #delays, delays[3])

-- one that waits in its callback
local notes = {}
t = timer.new {
  delay = 0, recurring = true,
  callback = function(self)
    notes[#notes + 1] = "begin"
    copas.pause(0.002)
    notes[#notes + 1] = "end"
    self:cancel()
    notes[#notes + 1] = "cancelled"
    copas.pause()
    notes[#notes + 1] = "and on"
  end,
}
copas.loop()
check.equal("waits", table.concat(notes, " "), "begin end cancelled and on")
-- armed again by itself
local count = 0
t = timer.new {
  delay = 0.001,
  callback = function(self)
    count = count + 1
    if count < 3 then assert(self:arm(0.002) == self) end
  end,
}
copas.loop()
check.equal("one that does not recur arms itself", count, 3)
count = 0
t = timer.new {
  delay = 0.001, recurring = true,
  callback = function(self)
    count = count + 1
    self:cancel()
    if count < 3 then self:arm(0.001) end
  end,
}
copas.loop()
check.equal("cancelled and armed in the callback: there is one thread", count, 3)

-- errors
local reports = {}
count = 0
t = timer.new {
  name = "faulty", delay = 0.001, recurring = true,
  errorhandler = function(text, thread, socket)
    reports[#reports + 1] = {text, copas.getthreadname(thread), socket, copas.gettraceback(text, thread, socket)}
  end,
  callback = function(self)
    count = count + 1
    if count == 3 then self:cancel() end
    local function innermost() error("fault " .. count, 0) end
    innermost()
  end,
}
copas.loop()
check.equal("an error does not end it", count, 3)
check.ok("each is reported",
  #reports == 3 and reports[2][1] == "fault 2" and reports[2][2] == "faulty" and reports[2][3] == nil)
check.ok("with the stack as it was",
  reports[1][4]:find("in upvalue 'innermost'") or reports[1][4]:find("in local 'innermost'"), reports[1][4])
local text = check.printed(function()
  timer.new {delay = 0, name = "bare", callback = function() error("nobody handles it") end}
  copas.loop()
end)
check.ok("by default on standard output", text:find("nobody handles it (coroutine: bare, socket: nil)", 1, true) ~= nil, text)
text = check.printed(function()
  timer.new {delay = 0, callback = function() error("one") end, errorhandler = function() error("two", 0) end}
  copas.loop()
end)
check.ok("a handler that fails", text:find("Failed executing error handler: two", 1, true) ~= nil, text)

-- a callback that cancels its own timer goes on to its end
local steps = {}
t = timer.new {delay = 0.001, recurring = true, callback = function(own)
  steps[#steps + 1] = own:cancel() == own
  local nothing, reason = own:cancel()
  steps[#steps + 1] = nothing == nil and reason
  copas.pause(0.005)
  steps[#steps + 1] = "end"
end}
copas.loop()
check.ok("a callback cancels its timer", #steps == 3 and steps[1] == true and steps[2] == "not armed", #steps)
check.equal("and goes on to its end", steps[3], "end")
check.equal("then it can be armed", t:arm(), t)
t:cancel()
copas.loop()
-- armed anew in the callback, it runs in one thread, and not in two
local turns, threads = 0, {}
timer.new {delay = 0.001, recurring = true, callback = function(own)
  turns = turns + 1
  threads[coroutine.running()] = true
  if turns == 1 then
    own:cancel()
    own:arm(0.002)
    copas.pause(0.004)
  elseif turns == 5 then
    own:cancel()
  end
end}
copas.loop()
check.equal("armed anew by its callback", turns, 5)
local number = 0
for _ in pairs(threads) do number = number + 1 end
check.equal("in two threads, one after the other", number, 2)
local another, ended = nil, false
another = timer.new {delay = 0, recurring = true, callback = function()
  copas.pause(60)
  ended = true
end}
timer.new {delay = 0.005, callback = function() another:cancel() end}
copas.loop()
check.ok("another thread's cancel ends the callback", not ended)

-- order
local order, begun, took
repeat
  order, begun = {}, copas.gettime()
  for _, ms in ipairs {15, 5, 10} do
    timer.new {delay = ms / 1000, callback = function() order[#order + 1] = ms end}
  end
  -- Otherwise the deadlines may be in another order.
  took = copas.gettime() - begun
  copas.loop()
until took < 0.004
check.equal("by deadline", table.concat(order, " "), "5 10 15")

collectgarbage() collectgarbage()
local before = collectgarbage("count")
for i = 1, 5000 do
  local own
  own = timer.new {delay = 0, callback = function() return own end}
  timer.new {delay = 1000, callback = print}:cancel()
  if i % 10 == 0 then copas.loop() end
end
order, reports, fired = nil, nil, nil
collectgarbage() collectgarbage()
check.ok("timers leave nothing behind", collectgarbage("count") - before < 100, collectgarbage("count") - before)
