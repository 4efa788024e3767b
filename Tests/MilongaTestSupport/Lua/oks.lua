-- Each behaviour that a script finds as it should be is one line `ok`. The first line of a script
-- says how many there are.

local M = {}

local function shown(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

--- Counts one behaviour; ends the script when it is not as it should be.
function M.ok(what, condition, ...)
  if not condition then
    local values = table.pack(...)
    for i = 1, values.n do values[i] = shown(values[i]) end
    io.stderr:write(debug.traceback("failed: " .. what .. " " .. table.concat(values, ", "), 2), "\n")
    os.exit(1)
  end
  print("ok " .. what)
end

--- Counts one behaviour: the values are equal.
function M.equal(what, value, expected)
  M.ok(what, value == expected, value, "instead of", expected)
end

return M
