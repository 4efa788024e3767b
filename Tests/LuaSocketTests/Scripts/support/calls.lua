-- Prints what single calls return. An error is only "ERROR".
local M = {}

local function quote(v)
  if type(v) == "string" then return (string.format("%q", v):gsub("\\\n", "\\n")) end
  return (type(v) == "function" or type(v) == "table") and type(v) or tostring(v)
end

function M.case(name, f, ...)
  print("== " .. name)
  local r = table.pack(pcall(f, ...))
  if not r[1] then return print "  ERROR" end
  for i = 2, r.n do r[i] = quote(r[i]) end
  print("  " .. table.concat(r, " ", 2, r.n))
end

-- What `count` calls of a function return.
function M.times(n, f, ...)
  local out = {}
  for i = 1, n do
    local r = table.pack(pcall(f, ...))
    for k = 1, r.n do r[k] = quote(r[k]) end
    out[i] = r[1] == "true" and table.concat(r, ",", 2, r.n) or "ERROR"
  end
  return table.concat(out, " | ")
end

-- A function that gives these answers, one per call.
function M.script(answers)
  local i = 0
  return function()
    i = i + 1
    return answers[i]
  end
end

return M
