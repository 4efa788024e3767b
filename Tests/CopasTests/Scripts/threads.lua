-- oks: 13
local copas = require "copas"
local check = require "check"

local order = {}
local function note(...) order[#order + 1] = table.concat({...}, " ") end

local first = copas.addthread(note, "first", 1)
copas.addthread(note, "second", 2)
check.equal("nothing runs yet", #order, 0)
check.equal("a thread is a coroutine", type(first), "thread")
copas.addnamedthread("name", note, "named", 3)
copas.addnamedthread(note, "named", "old order", 4)
copas.loop()
check.equal("in order, with arguments", table.concat(order, "; "), "first 1; second 2; named 3; old order 4")
check.equal("ended", coroutine.status(first), "dead")

local counts = {}
for _, n in ipairs {0, 1, 2, 10, 19, 20, 21, 100, 5000, 200000} do
  local arguments = {}
  for i = 1, n do arguments[i] = i end
  copas.addthread(function(...)
    counts[#counts + 1] = select("#", ...) == n and (n == 0 or select(n, ...) == n)
  end, table.unpack(arguments, 1, n))
end
copas.loop()
local all = #counts == 10
for _, good in ipairs(counts) do all = all and good end
check.ok("any number of arguments", all)
local nils
copas.addthread(function(...) nils = select("#", ...) end, nil, nil, nil)
copas.loop()
check.equal("nil arguments", nils, 3)

-- threads start threads
local depth = 0
local function deeper(n)
  depth = n
  if n < 500 then copas.addthread(deeper, n + 1) end
end
copas.addthread(deeper, 1)
copas.loop()
check.equal("threads start threads", depth, 500)

-- round robin
order = {}
for _, name in ipairs {"a", "b", "c"} do
  copas.addthread(function()
    for i = 1, 3 do
      note(name .. i)
      copas.pause()
    end
  end)
end
copas.loop()
check.equal("turns go round", table.concat(order, " "), "a1 b1 c1 a2 b2 c2 a3 b3 c3")

for _, wrong in ipairs {false, 1, "x", {}} do
  local good, err = pcall(function() copas.addthread(wrong) end)
  check.ok("no thread of a " .. type(wrong), not good and err:find("function expected", 1, true) ~= nil, err)
end
local many = {}
for i = 1, 20000 do many[i] = copas.addthread(function() copas.pause(0.01) end) end
copas.loop()
local dead = 0
for _, t in ipairs(many) do if coroutine.status(t) == "dead" then dead = dead + 1 end end
check.equal("many threads", dead, 20000)
