-- oks: 24
local copas = require "copas"
local check = require "check"

local function equal(what, expected, ...)
  local values = table.pack(...)
  for i = 1, values.n do values[i] = tostring(values[i]) end
  check.equal(what, table.concat(values, "|"), expected)
end

check.run(function()
  local a, b = check.pair()
  local function later(...)
    local parts = {...}
    copas.addthread(function()
      for _, part in ipairs(parts) do
        if part == "close" then b:close() elseif part == "reset" then check.reset(b) else b:send(part) end
        copas.pause(0.003)
      end
    end)
  end

  later("one\ntw", "o\r", "\n")
  equal("line", "one|nil|nil", copas.receive(a))
  equal("line in pieces", "two|nil|nil", copas.receive(a))
  later("1234", "5678")
  equal("count in pieces", "123456|nil|nil", copas.receive(a, 6))
  equal("count as string", "78|nil|nil", copas.receive(a, "2"))
  later("abc")
  equal("prefix", "xyabc|nil|nil", copas.receive(a, 5, "xy"))
  equal("satisfied by the prefix", "xyz|nil|nil", copas.receive(a, 3, "xyz"))
  later("line\n")
  equal("prefix of a line", "a line|nil|nil", copas.receive(a, "*l", "a "))
  later("z")
  equal("0 waits for data", "|nil|nil", copas.receive(a, 0))
  equal("and leaves it", "z|nil|nil", copas.receive(a, 1))

  -- partial
  later("some")
  equal("receivepartial of a line", "nil|timeout|some", copas.receivepartial(a))
  later("th\ring\nmore")
  equal("a whole line", "thing|nil|nil", copas.receivepartial(a))
  equal("then the rest", "nil|timeout|more", copas.receivepartial(a, "*l"))
  later("pa\rrt")
  equal("without carriage returns", "nil|timeout|part", copas.receivepartial(a, "*l"))
  later("x\n")
  equal("a line after a partial", "x|nil|nil", copas.receive(a))
  later("more")
  equal("receivepartial of a count", "nil|timeout|more", copas.receivePartial(a, 100))
  later("all")
  equal("receivepartial of everything", "nil|timeout|pre all", copas.receivepartial(a, "*a", "pre "))
  local w = copas.wrap(a)
  w:settimeouts(nil, nil, 0)
  b:send("zero\nhalf")
  check.arrived(a)
  equal("wrapped, timeout 0", "zero|nil|nil", w:receive())
  equal("what there is", "nil|timeout|half", w:receive())
  w:settimeouts(nil, nil, -1)

  local good, err = pcall(function() copas.receive(a, "*x") end)
  check.ok("wrong pattern", not good and err:find("invalid receive pattern", 1, true), err)
  for _, wrong in ipairs {false, 1, {}} do
    good, err = pcall(function() copas.receive(wrong) end)
    check.ok("no socket: " .. type(wrong), not good and err:find("socket expected, got", 1, true), err)
  end

  -- the end
  later("last words", "close")
  equal("everything", "last words|nil|nil", copas.receive(a, "*a"))
  equal("after the end", "nil|closed|", copas.receive(a))
end)
