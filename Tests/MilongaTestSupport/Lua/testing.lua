-- A small test harness, for every Lua from 5.1 on.
--
-- `test(name, f)` runs f at once and prints `ok - name`, or `not ok - name` and the reason, indented,
-- in the next lines. `finish()` prints how many tests there were: without that line the script has
-- ended too early.

local testing = {}

local total, failed = 0, 0

io.stdout:setvbuf 'line'

-- Describes a value as a text. Different values have different texts; integers and floats do, too.
local function describe(value, ancestors)
  local kind = type(value)
  if kind == 'string' then
    return ('%q'):format(value):gsub('\n', 'n'):gsub('[^ -~]', function(c)
      return ('\\x%02x'):format(c:byte())
    end)
  elseif kind == 'number' then
    if value ~= value then return 'NaN' end
    if math.type and math.type(value) == 'integer' then return ('%d'):format(value) end
    return ('%.17g'):format(value) .. (math.type and ' as float' or '')
  elseif kind ~= 'table' then
    return tostring(value)
  end
  ancestors = ancestors or {}
  if ancestors[value] then return '<cycle>' end
  ancestors[value] = true
  local parts = {}
  for k, v in pairs(value) do
    parts[#parts + 1] = '[' .. describe(k, ancestors) .. '] = ' .. describe(v, ancestors)
  end
  ancestors[value] = nil
  table.sort(parts)
  return '{' .. table.concat(parts, ', ') .. '}'
end

testing.describe = describe

-- Any number of values, nil included, as a text.
function testing.list(...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = describe((select(i, ...))) end
  return '(' .. table.concat(parts, ', ') .. ')'
end

local function shorten(text)
  if #text <= 400 then return text end
  return text:sub(1, 300) .. (' ... <%d bytes> ... '):format(#text) .. text:sub(-80)
end

-- Fails unless both values are the same, tables by what is in them.
function testing.equal(value, expected, what)
  local found, wanted = describe(value), describe(expected)
  if found == wanted then return end
  error(('%sexpected %s, found %s'):format(
    what and what .. ': ' or '', shorten(wanted), shorten(found)), 2)
end

-- Fails unless the text contains the fragment, taken as it is.
function testing.contains(text, fragment)
  if type(text) == 'string' and text:find(fragment, 1, true) then return end
  error(('expected a text with %s, found %s'):format(
    describe(fragment), shorten(describe(text))), 2)
end

-- Fails unless f raises an error; returns it. With a fragment, the error is a text that contains
-- it.
function testing.fails(fragment, f, ...)
  local ok, reason = pcall(f, ...)
  if ok then error('expected an error, found the result ' .. shorten(describe(reason)), 2) end
  if fragment and not (type(reason) == 'string' and reason:find(fragment, 1, true)) then
    error(('expected an error with %s, found %s'):format(
      describe(fragment), shorten(describe(reason))), 2)
  end
  return reason
end

-- How many values are kept in the registry, after the garbage was collected. Numbers there are free
-- places.
function testing.registered()
  collectgarbage()
  collectgarbage()
  local n = 0
  for _, value in pairs(debug.getregistry()) do
    if type(value) ~= 'number' then n = n + 1 end
  end
  return n
end

-- Runs f(1), then f(2), f(3), ... as long as they fail because of a timeout; returns the result. For
-- calls that have to succeed although the timeout, which other calls are to run into, is so short
-- that a loaded machine may exceed it.
function testing.patiently(f)
  local deadline, i = os.time() + 60, 0
  while true do
    i = i + 1
    local ok, result = pcall(f, i)
    if ok then return result end
    if os.time() > deadline or not tostring(result):find('timeout', 1, true) then error(result, 0) end
  end
end

function testing.test(name, f)
  total = total + 1
  local ok, reason = xpcall(f, function(reason)
    return debug.traceback(type(reason) == 'string' and reason or describe(reason), 2)
  end)
  if ok then
    print('ok - ' .. name)
  else
    failed = failed + 1
    print('not ok - ' .. name .. '\n  ' .. reason:gsub('\n', '\n  '))
  end
end

function testing.finish()
  print('1..' .. total)
  os.exit(failed == 0 and 0 or 1)
end

return testing
