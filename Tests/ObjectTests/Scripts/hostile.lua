-- Calls everything with anything: hostile.lua [--calls N] [--seed S] [--size N] [--seconds N]
-- [--host milonga|module] All functions of all modules, and all methods of live objects of every
-- class, with odd values, from odd places, while the debug library takes apart what it can reach.
-- The calls are made in child processes: so many in each. An end by a signal is a fault, unless the
-- same calls end the stock lua5.4 by one, too. To repeat one: --seed S --calls N.
local options = {calls = 2000, seed = 1, size = 400, seconds = 20, host = 'milonga'}
for index = 1, #arg, 2 do
  local name = arg[index]:match '^%-%-(%w+)$'
  assert(name and options[name] ~= nil and arg[index + 1], 'unknown option ' .. arg[index])
  options[name] = tonumber(arg[index + 1]) or arg[index + 1]
end

local folder = arg[0]:match '^(.*)/' or '.'
if folder:sub(1, 1) ~= '/' then folder = io.popen 'pwd':read() .. '/' .. folder end
local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local environment = 'LUA_PATH=' .. quoted(folder .. '/support/?.lua;;') .. ' RES_OPTIONS="attempts:1 timeout:1" '
local commands = {
  milonga = quoted(os.getenv 'MILONGA' or 'build/milonga'),
  module = 'lua5.4',
  stock = 'lua5.4',
}

-- Runs a child in a scratch folder of its own, with limits: how it ended, and its last words.
local function run(host, scratch, seed, calls, mode)
  local modules = mode == 'stock' and '' or 'LUA_CPATH=' .. quoted((os.getenv 'MILONGA_MODULE' or '') .. '/?.so;;')
  local command = ('cd %s && ulimit -v 4000000 && ulimit -f 20480 && ulimit -n 400 && ulimit -c 0 && %s %s '
    .. 'timeout -s KILL %d %s %s/support/child.lua %d %d 1 %s </dev/null >out 2>err'):format(
    quoted(scratch), environment, modules, options.seconds, commands[host], quoted(folder), seed, calls, mode)
  local _, how, code = os.execute(command)
  -- A shell tells signals by numbers above 128.
  if how == 'exit' and code > 128 then how, code = 'signal', code - 128 end
  return how, code
end

local function lines(path)
  local list = {}
  local file = io.open(path)
  if file then
    for line in file:lines() do list[#list + 1] = line end
    file:close()
  end
  return list
end

local function tail(path, count)
  local list = lines(path)
  return table.concat(list, '\n', math.max(1, #list - count + 1))
end

local scratch = os.tmpname()
os.remove(scratch)
os.execute('mkdir -p ' .. quoted(scratch))
local seed, made, faults, excused, hung = options.seed, 0, 0, 0, 0
while made < options.calls do
  local calls = math.min(options.size, options.calls - made)
  local place = scratch .. '/' .. seed
  os.execute('mkdir -p ' .. quoted(place))
  local how, code = run(options.host, place, seed, calls, '')
  local log = lines(place .. '/log')
  local last = tonumber((log[#log] or ''):match '^%d+') or 0
  made = made + calls
  if how == 'signal' and code == 9 then
    hung = hung + 1
    print(('seed %d: nothing more within %d s: %s'):format(seed, options.seconds, log[#log]))
  elseif how == 'signal' then
    local words = tail(place .. '/log', 3) .. '\n' .. tail(place .. '/err', 12)
    local stock = run('stock', place, seed, math.max(last, 1), 'stock')
    if stock == 'signal' then
      excused = excused + 1
    else
      faults = faults + 1
      print(('FAULT seed %d: signal %d after %d calls; the last ones:\n%s'):format(seed, code, last, words))
    end
  elseif code ~= 0 then
    faults = faults + 1
    print(('FAULT seed %d: status %d: %s'):format(seed, code, tail(place .. '/err', 12)))
  end
  if how == 'exit' and code == 0 then os.execute('rm -rf ' .. quoted(place)) end
  seed = seed + 1
end
print(('%d calls in %d children on %s: %d faults, %d excused, %d without an end'):format(
  made, seed - options.seed, options.host, faults, excused, hung))
if faults == 0 then os.execute('rm -rf ' .. quoted(scratch)) end
os.exit(faults == 0)
