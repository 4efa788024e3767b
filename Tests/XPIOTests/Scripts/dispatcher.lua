-- oks: 20
-- The example's dispatcher, which knows nothing but the contract of tasks.
local xpio = require "xpio"
local check = require "check"
local dispatcher = require "dispatcher"
local equal, ok, raises, pack = check.equal, check.ok, check.raises, table.pack

local log
local function note(what) log[#log + 1] = what end
local function run(body, ...)
  log = {}
  local results = pack(dispatcher.run(body, ...))
  return table.concat(log, " "), table.unpack(results, 1, results.n)
end
local function closing(what) return setmetatable({}, {__close = function() note(what) end}) end

check.results("run returns what the thread returns",
  pack(dispatcher.run(function(...) return ... end, 1, nil, 3, nil)), 1, nil, 3, nil)
equal("threads take turns", run(function()
  for i = 1, 2 do
    dispatcher.start(function()
      for step = 1, 2 do
        note(i .. "." .. step)
        dispatcher.yield()
      end
    end)
  end
end), "1.1 2.1 1.2 2.2")

local start, last, order
repeat
  start = xpio.gettime()
  order = run(function()
    for _, ms in ipairs {50, 10, 30, 20, 40, 10} do
      dispatcher.start(function()
        last = xpio.gettime()
        dispatcher.sleep(ms / 1000)
        note(ms)
      end)
    end
  end)
  -- Otherwise the times may be in another order.
until last - start < 0.005
equal("sleepers wake in the order of their times", order, "10 10 20 30 40 50")
ok("and not before", xpio.gettime() - start >= 0.05)
math.randomseed(42)
run(function()
  local begin = xpio.gettime()
  local threads = {}
  for i = 1, 500 do
    threads[i] = dispatcher.start(function()
      -- Threads that are killed must not have ended before.
      local seconds = i % 3 == 1 and 60 or math.random() / 20
      dispatcher.sleep(seconds)
      note(xpio.gettime() >= begin + seconds and "on time" or "early")
    end)
  end
  dispatcher.yield()
  for i = 1, 500, 3 do dispatcher.kill(threads[i]) end
end)
local early = 0
for _, what in ipairs(log) do early = early + (what == "early" and 1 or 0) end
ok("many sleepers, a third of them killed", #log == 333 and early == 0, #log, early)

check.results("join returns what the thread returned", pack(dispatcher.run(function()
  local thread = dispatcher.start(function(a) dispatcher.yield() return a, nil end, 7)
  return dispatcher.join(thread)
end)), 7, nil)
check.results("also later, and again", pack(dispatcher.run(function()
  local thread = dispatcher.start(function() return 8 end)
  dispatcher.yield()
  dispatcher.yield()
  return dispatcher.join(thread), dispatcher.join(thread)
end)), 8, 8)
equal("an error is the joiner's", (select(2, run(function()
  local thread = dispatcher.start(error, "oops")
  local good, why = pcall(dispatcher.join, thread)
  return not good and why:match "^oops"
end))), "oops")
ok("or, when nobody joins, ends the run", not pcall(dispatcher.run, function() dispatcher.start(error, "alone") end))
local good, why = pcall(dispatcher.run, error, "main")
ok("as that of the first thread", not good and why:find "^main", why)

-- Killing, wherever a thread waits.
local read, write = xpio.pipe()
local process = assert(xpio.spawn({"sleep", "60"}, xpio.env, {}))
for place, wait in pairs {
  ["for its turn"] = function() dispatcher.yield() end,
  ["for a time"] = function() dispatcher.sleep(60) end,
  ["for data"] = function() read:read(1) end,
  ["for a process"] = function() process:wait() end,
  ["for a thread"] = function()
    local other = dispatcher.start(dispatcher.sleep, 60)
    local _ <close> = setmetatable({}, {__close = function() dispatcher.kill(other) end})
    dispatcher.join(other)
  end,
} do
  equal("killed while it waits " .. place, (run(function()
    local thread = dispatcher.start(function()
      local _ <close> = closing "closed"
      wait()
      note "not killed"
    end)
    local joiner = dispatcher.start(function() note(select(2, dispatcher.join(thread))) end)
    dispatcher.yield()
    dispatcher.kill(thread)
    dispatcher.kill(thread)
    dispatcher.join(joiner)
  end)), "closed killed")
end
process:kill()
equal("a thread that kills itself", (run(function()
  local thread
  thread = dispatcher.start(function()
    local _ <close> = closing "closed"
    dispatcher.kill(thread)
    note "not killed"
  end)
  dispatcher.join(thread)
end)), "closed")
equal("before its first turn", (run(function() dispatcher.kill(dispatcher.start(note, "not killed")) end)), "")
equal("a run inside a run", (run(function()
  dispatcher.start(function() note "outer" end)
  dispatcher.run(function()
    note "inner"
    dispatcher.yield()
    note "inner"
  end)
  dispatcher.yield()
end)), "inner inner outer")
raises("functions of threads, outside", "dispatcher.sleep: not in a thread", function() dispatcher.sleep(1) end)
write:try_write("x")
equal("nobody has read what was for nobody", read:try_read(9), "x")
