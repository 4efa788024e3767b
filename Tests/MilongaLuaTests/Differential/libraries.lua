-- Calls functions of the libraries with odd arguments, and tells what they return and raise.
local seed = SEED
local function random(n)
  seed = seed * 6364136223846793005 + 1442695040888963407
  return (seed >> 33) % n + 1
end
local function pick(t) return t[random(#t)] end
local functions = {
  'table.concat', 'table.insert', 'table.move', 'table.remove', 'table.sort', 'table.unpack', 'string.byte', 'string.format',
  'string.lower', 'string.pack', 'string.packsize', 'string.rep', 'string.reverse', 'string.sub', 'string.unpack',
  'string.upper', 'utf8.codepoint', 'utf8.codes', 'utf8.len', 'utf8.offset', 'tonumber', 'next', 'pairs', 'setmetatable',
  'getmetatable', 'xpcall', 'load', 'coroutine.close', 'coroutine.resume', 'coroutine.wrap', 'coroutine.create'}
local texts = {'', 'a', 'abc', 'x y', 'h\xc3\xa9llo \xe2\x82\xac', '\x80\x80', 'a\xff\x80', '3', ' 0x10 ', '%d', '%s|%q',
  'i4', '!8 z',
  '<I2s1', 'return 1', 'return ...', 'x =', 'z', '\xf4\x90\x80\x80', 'b'}
local integers = {0, 1, 2, 3, 4, 5, 7, 10, 16, 36, -1, -2, -3, -10, math.maxinteger, math.mininteger, 2.0, 2.5}
local tables = {
  function() return {} end,
  function() return {3, 1, 2} end,
  function() return {'b', 'a', 'c', 'x', 'a'} end,
  function() return {1, 2, nil, 4} end,
  function() return {1, 'x', {}} end,
  function() return setmetatable({}, {__index = function(_, i) return i end, __len = function() return 5 end}) end,
  function() return setmetatable({5, 4}, {__newindex = function(t, k, v) rawset(t, k, v and v * 2) end}) end,
  function() return setmetatable({}, {__pairs = function(t) return function() end, t, 7 end}) end,
  function() return setmetatable({1}, {__metatable = 'locked'}) end,
  function() return {__index = string} end}
local others = {
  function(a, b) return a, b end, function() error('raised', 0) end, function(a, b) return tostring(a) < tostring(b) end,
  function() end, error, pcall, tostring, true, false, coroutine.create(error)}
local function argument()
  local r = random(9)
  if r <= 3 then return pick(integers) end
  if r <= 5 then return pick(texts) end
  if r <= 8 then return pick(tables)() end
  return pick(others)
end
local function plain(v)
  if type(v) == 'string' then return string.format('%q', (v:gsub('0x%x+', 'address'))) end
  if type(v) == 'table' then
    local parts = {}
    for i = 1, 8 do
      local element = rawget(v, i)
      parts[i] = tostring(element):find('0x', 1, true) and type(element) or tostring(element)
    end
    return '{' .. table.concat(parts, ',') .. '}'
  end
  return (tostring(v):gsub('0x%x+', 'address'):gsub('builtin: %d+', 'builtin'))
end
local function show(...)
  local t = {...}
  local n = math.min(select('#', ...), 12)
  for i = 1, n do t[i] = plain(t[i]) end
  return table.concat(t, ' ', 1, n)
end
local function call(f, a, n)
  -- Where the iteration goes that a function has returned.
  if f == utf8.codes then
    return show(pcall(function()
      local seen = ''
      for position, code in f(a[1], a[2]) do seen = seen .. position .. ':' .. code .. ' ' end
      return seen
    end))
  elseif f == pairs then
    return show(pcall(function()
      local seen = {}
      for k, v in f(a[1]) do seen[#seen + 1] = plain(k) .. '=' .. plain(v) if #seen > 9 then break end end
      table.sort(seen)
      return table.concat(seen, ' ')
    end))
  elseif f == string.rep or f == table.move or f == table.concat then
    -- What would take for ever.
    for k = 2, 4 do
      local number = math.tointeger(a[k])
      if number and (number > 100 or number < -100) then return '' end
    end
  end
  return show(pcall(f, table.unpack(a, 1, n)))
end
local out = {}
for i = 1, COUNT do
  local name = pick(functions)
  local f = _G
  for part in name:gmatch('%a%w+') do f = f[part] end
  local n = random(5) - 1
  local a = {}
  for k = 1, n do a[k] = argument() end
  local before = show(table.unpack(a, 1, n))
  local result = call(f, a, n)
  out[i] = name .. ' ' .. before .. ' -> ' .. result .. ' ; ' .. show(table.unpack(a, 1, n))
end
return table.concat(out, '\n\0')
