local seed = SEED
local function random(n)
  seed = seed * 6364136223846793005 + 1442695040888963407
  return (seed >> 33) % n + 1
end
local function pick(t) return t[random(#t)] end
local bytes = {'a', 'b', 'c', 'A', 'B', '1', '2', ' ', '%', '.',
  '(', ')', '-', '^', '$', ']', '[', '\0', '\xe9', 'x', '_', '*', '+', '?', '\n'}
local function subject()
  local t = {}
  for i = 1, random(14) - 1 do
    t[i] = random(3) > 1 and pick{'a', 'b', '(', ')', 'x', '1', ' '} or pick(bytes)
  end
  return table.concat(t)
end
local items = {'a', 'b', 'c', '.', '%a', '%d', '%s', '%w', '%u', '%l', '%p', '%c', '%x', '%g', '%A', '%S', '%z', '%%', '%.', '%(',
  '[ab]', '[^a]', '[a-c]', '[%a_]', '[]a]', '[^]a]', '[a-]', '[%]x]', '[%d%s]', '[\0-\x7f]', 'x', '1', ' ', '%Q', '[a-%]]',
  '[z-a]', '[^%s]', '\0', '%-'}
local odd = {'(', '(', ')', ')', '()', '%b()', '%bxx', '%f[%w]', '%f[^a]', '%1', '%2', '%0', '%9', '$', '^', '[', '[^', '[a', '%',
  '%b', '%bx', '%f', '%fa', '[%', '[]', '-', '*', '+', '?', ']', '[a-', '[%a-z]'}
local often = {'*', '+', '-', '?'}
local function pattern()
  local t = {}
  if random(6) == 1 then t[1] = '^' end
  for _ = 1, random(7) - 1 do
    local r = random(10)
    if r > 8 then
      t[#t + 1] = pick(odd)
    else
      local piece = pick(items) .. (random(2) == 1 and pick(often) or '')
      t[#t + 1] = r > 6 and '(' .. piece .. ')' or piece
    end
  end
  if random(8) == 1 then t[#t + 1] = '$' end
  return table.concat(t)
end
local replacements = {
  {a = 'X', b = false, x = 7, ['1'] = true}, 12,
  function(...) return select('#', ...) .. tostring((...)) end,
  function(a) if a ~= 'a' then return a end end,
  function() return {} end}
local function replacement()
  if random(3) == 1 then return pick(replacements) end
  local t = {}
  for i = 1, random(4) do t[i] = pick{'%0', '%1', '%2', '%%', 'x', 'yy', '%9', '%', '%a', '<>'} end
  return table.concat(t)
end
local function show(...)
  local t = {...}
  for i = 1, select('#', ...) do
    t[i] = type(t[i]) == 'string' and string.format('%q', t[i]) or tostring(t[i])
  end
  return table.concat(t, ' ')
end
local function all(s, p, init)
  local t = {}
  for a, b, c in string.gmatch(s, p, init) do
    t[#t + 1] = show(a, b, c)
    if #t > 8 then break end
  end
  return table.concat(t, '|')
end
local out = {}
for i = 1, COUNT do
  local s, p, init = subject(), pattern(), random(4) == 1 and random(20) - 10 or nil
  out[i] = table.concat({show(s, p, init), show(pcall(string.find, s, p, init, random(10) == 1)),
    show(pcall(string.match, s, p, init)), show(pcall(all, s, p, init)),
    show(pcall(string.gsub, s, p, replacement(), random(4) == 1 and random(4) - 2 or nil))}, ' ; ')
end
return table.concat(out, '\n\0')
