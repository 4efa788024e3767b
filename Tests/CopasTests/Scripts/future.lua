-- oks: 27
local copas = require "copas"
local check = require "check"
local future = copas.future

check.ok("copas.future is the module", future == require "copas.future")
check.ok("states", future.SUCCESS == true and future.PENDING == false and future.ERROR == "error")
local good, err = pcall(function() return future.DONE end)
check.ok("unknown fields", not good and err:find("future.lua:%d+: unknown field 'future.DONE'$") ~= nil, err)

local function packed(...) return table.pack(...) end
local f = future.addthread(function(...) return select("#", ...), ... end, nil, 2, nil)
check.equal("pending before its first turn", f:try(), future.PENDING)
good, err = pcall(f.get, f)
check.ok("waiting outside is an error", not good and err:find("copas.future.get: not inside a Copas thread", 1, true) ~= nil, err)
copas.loop()
local r = packed(f:get())
check.ok("arguments and results, with nil", r.n == 5 and r[1] == true and r[2] == 3 and r[4] == 2, r.n)
r = packed(f:try())
check.ok("try", r.n == 5 and r[1] == future.SUCCESS and r[2] == 3 and r[4] == 2, r.n)
check.ok("calling it is get", select("#", f()) == 5 and f("ignored") == true)
f = future.addthread(function() end)
copas.loop()
check.ok("no results", packed(f:get()).n == 1 and packed(f:try()).n == 1)

local many = {}
for i = 1, 200000 do many[i] = i end
f = future.addthread(table.unpack, many)
copas.loop()
check.ok("many results", packed(f:get()).n == 200001)

local what = {}
f = future.addthread(error, what)
local g = future.addthread(nil)
copas.loop()
local ok, value = f:get()
check.ok("an error of any type", ok == false and value == what)
ok, value = f:try()
check.ok("and try", ok == future.ERROR and value == what)
ok, value = g:get()
check.ok("no function", ok == false and value == "attempt to call a nil value", value)

-- names
f = future.addnamedthread("somebody", function() return copas.getthreadname() end)
copas.loop()
check.equal("a name", select(2, f:get()), "somebody")
good, err = pcall(future.addnamedthread, {}, print)
check.ok("that is no string", not good and err:find("string expected, got table", 1, true) ~= nil, err)

-- several wait
local order = {}
check.run(function()
  local h = future.addthread(function() copas.pause(0.005) return "done" end)
  for i = 1, 3 do
    copas.addthread(function()
      local _, result = h:get()
      order[#order + 1] = i .. result
    end)
  end
  check.equal("all get it", select(2, h:get()), "done")
end)
check.equal("in the order of coming", table.concat(order, " "), "1done 2done 3done")

-- cancel
check.run(function()
  local ran, got, closed
  local h = future.addthread(function()
    local _ <close> = setmetatable({}, {__close = function() closed = true end})
    copas.pause(1000)
    ran = true
  end)
  copas.addthread(function() got = packed(h:get()) end)
  copas.pause(0.002)
  check.equal("cancel", h:cancel(), true)
  check.equal("once", h:cancel(), false)
  copas.pause(0.002)
  check.ok("those who wait are told", got.n == 2 and got[1] == false and got[2] == "cancelled")
  ok, value = h:try()
  check.ok("and try", ok == future.ERROR and value == "cancelled")
  check.ok("its thread is removed", closed and not ran)
  h = future.addthread(function() end)
  copas.pause()
  check.equal("too late", h:cancel(), false)
  h = future.addthread(function() ran = "started" end)
  h:cancel()
  copas.pause()
  check.equal("before its first turn", ran, nil)
  local own
  own = future.addthread(function() own:cancel() ran = "on" copas.pause() ran = "after" end)
  copas.pause(0.002)
  check.ok("its own: up to the next wait", ran == "on" and select(2, own:get()) == "cancelled")
end)

good, err = pcall(future.addthread(print).get, {})
check.ok("get of something else", not good and err:find("copas future expected", 1, true) ~= nil, err)
copas.loop()

collectgarbage() collectgarbage()
local before = collectgarbage("count")
check.run(function()
  for i = 1, 10000 do
    local h = future.addthread(function() copas.pause() return {} end)
    copas.addthread(function() h:get() end)
    if i % 10 == 0 then copas.pause() end
  end
end)
collectgarbage() collectgarbage()
check.ok("futures leave nothing behind", collectgarbage("count") - before < 100, collectgarbage("count") - before)
