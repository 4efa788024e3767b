-- Makes the calls of a seed: child.lua SEED CALLS [FIRST [stock]]. Before each call it writes to the
-- file `log`, so the last line names the call that has ended the process. With `stock` it makes only
-- calls that need no Milonga, and reads the names of the functions from the file `names`.
local seed, calls, first, mode = math.tointeger(arg[1]), math.tointeger(arg[2]), math.tointeger(arg[3] or 1), arg[4]
local isStock = mode == 'stock'
if not isStock and not pcall(require, 'copas') then require 'milonga' end

local draws, tamper = require 'draws', require 'tamper'
local objects, values = require 'objects', require 'values'
local log = assert(io.open('log', 'w'))
log:setvbuf 'no'
io.output(io.open('/dev/null', 'w'))
print = function(...) io.write(...) end
warn '@off'
if not isStock then io.stderr:setvbuf 'full' end

local world = {tamper = tamper, light = nil}
local pool, order = {}, {}
local names, functions = {}, {}

-- Functions that end the process, wait for ever, or do harm elsewhere, by design.
local harmful = {
  ['os.exit'] = true, ['os.remove'] = true, ['os.rename'] = true, ['os.execute'] = true, ['os.tmpname'] = true,
  ['io.popen'] = true, ['io.read'] = true, ['io.output'] = true, ['io.input'] = true, ['io.open'] = true,
  ['io.lines'] = true,
  ['debug.debug'] = true, ['debug.sethook'] = true, ['copas.loop'] = true, ['copas.cancelall'] = true,
  ['tango.server.copas_socket.loop'] = true, ['tango.server.ev_socket.loop'] = true, ['tango.server.zmq.loop'] = true,
  ['rpc.newserver'] = true, ['xpio.spawn'] = true, ['xpio.fdopen'] = true, ['package.loadlib'] = true, ['_G.dofile'] = true,
  ['_G.loadfile'] = true, ['_G.require'] = true, ['socket.dns.toip'] = true, ['string.rep'] = true,
  ['coroutine.wrap'] = true, ['collectgarbage'] = true, ['socket.sleep'] = true, ['copas.debug.start'] = true,
}
-- tamper.lua calls the debug library, and spares what is not ours: the libraries of the stock Lua end
-- by a signal when they are taken apart.
local spared = {
  debug = true, io = true, package = true, string = true, table = true, coroutine = true, os = true, math = true,
  utf8 = true,
}
-- Numbers for these are times to wait.
local timed = {
  settimeout = 2, settimeouts = 2, sleep = 1, pause = 1, select = 3, wait = 2, step = 1, timeout = 1, pop = 2, get = 2,
  take = 3, finish = 2,
}
-- Waits that nothing ends outside of the dispatcher.
local endless = {accept = true, receive = true, receivefrom = true, connect = true}

local function learn(name, f)
  if harmful[name] or functions[name] then return end
  if debug.getinfo(f, 'S').what == 'C' and not spared[name:match '^[^.:]+'] then tamper.learn(f) end
  names[#names + 1] = name
  functions[name] = f
end

local function learnFields(name, object, seen, depth)
  if seen[object] or depth > 4 then return end
  seen[object] = true
  for key, field in next, object do
    if type(key) == 'string' then
      local full = name .. '.' .. key
      if type(field) == 'function' then learn(full, field)
      elseif type(field) == 'table' and key ~= '_G' then learnFields(full, field, seen, depth + 1) end
    end
  end
end

-- The functions of modules, and the methods of objects.
local function learnAll()
  local seen = {[_G] = true, [package.loaded] = true}
  local modules = {}
  for name, module in pairs(package.loaded) do
    -- LuaSec's are not ours.
    if type(module) == 'table' and name ~= '_G' and not name:match '^ssl' then
      modules[#modules + 1] = name
    end
  end
  table.sort(modules)
  local own = {draws = true, tamper = true, objects = true, values = true}
  for _, name in ipairs(modules) do
    if not own[name] and not (spared[name] and name ~= 'utf8' and name ~= 'math' and name ~= 'coroutine') then
      learnFields(name, package.loaded[name], seen, 1)
    end
  end
  for _, name in ipairs {'tostring', 'tonumber', 'ipairs', 'pairs', 'next', 'select', 'rawget', 'rawequal', 'rawlen'} do
    learn('_G.' .. name, _G[name])
  end
  for _, name in ipairs(order) do
    local object = pool[name]
    if type(object) == 'function' then learn(name .. '()', object) end
    local meta = debug.getmetatable(object)
    if type(meta) == 'table' and name ~= 'file' then
      for key, f in pairs(meta) do
        if type(f) == 'function' and type(key) == 'string' then learn(name .. ':' .. key, f) end
      end
      if type(rawget(meta, '__index')) == 'table' then
        for key, f in pairs(meta.__index) do
          if type(f) == 'function' and type(key) == 'string' then learn(name .. ':' .. key, f) end
        end
      end
    end
  end
  table.sort(names)
end

-- Functions by what they belong to: a class with many methods is not called more often than others.
local groups = {}
local function group()
  local byName = {}
  for _, name in ipairs(names) do
    local key = name:match '^[%w_]+'
    if not byName[key] then
      byName[key] = {}
      local weight = (spared[key] or key == 'ltn12' or key == 'mime' or key == '_G') and 1 or 4
      for _ = 1, weight do groups[#groups + 1] = byName[key] end
    end
    table.insert(byName[key], name)
  end
end

function world.object(d)
  if #order == 0 then return {} end
  return pool[d:of(order)]
end
function world.functionOf(d) return functions[d:of(d:of(groups))] end
local kinds
local depth = 0
function world.value(d)
  if depth > 2 then return d:upto(10) end
  depth = depth + 1
  local value = d:of(kinds)(d)
  depth = depth - 1
  return value
end

local function shown(value)
  local kind = type(value)
  if kind == 'string' then return ('%q'):format(#value > 30 and value:sub(1, 30) .. '...' or value):gsub('\\\n', '\\n') end
  if kind == 'number' or kind == 'nil' or kind == 'boolean' then return tostring(value) end
  for _, name in ipairs(order) do if rawequal(pool[name], value) then return name end end
  return kind
end

-- Arguments of a type that the function takes lead farther into it than others.
local usual = {0, 1, 2, 3, 10, 100, 'x', 'a.b', '*l', 'echo', 'add', 'tamper', '127.0.0.1', true, false}

local function arguments(d, name)
  local list, count = {}, d:upto(8) - 1
  local isUsual = d:chance(35)
  for index = 1, count do
    if isUsual and d:chance(80) then list[index] = d:of(usual) else list[index] = world.value(d) end
  end
  local object = name:match '^(.-):[%w_]+$'
  if object and pool[object] ~= nil and d:chance(85) then
    list[1] = pool[object]
    count = math.max(count, 1)
  end
  local method = name:match '[.:]([%w_]+)$'
  local place = timed[method]
  if place then
    if not object then place = math.max(1, place) end
    for index = 1, math.max(place, count) do
      if type(list[index]) == 'number' or index >= place and (list[index] == nil or index == place) then
        list[index] = d:of {0, 0.001, 0.002}
      end
    end
    count = math.max(count, place)
  end
  return list, count
end

-- Where a call is made.
local contexts = {
  function(f) return f() end,
  function(f) return coroutine.wrap(f)() end,
  function(f) if world.copas then return world.copas.addthread(f) end return f() end,
  function(f) if world.copas then return world.copas.addthread(f) end return f() end,
  function(f) return table.sort({1, 2}, function() f() return false end) end,
  function(f) return xpcall(error, f, 'x') end,
  function(f)
    setmetatable({}, {__gc = f})
    return collectgarbage()
  end,
  function(f)
    local _ <close> = setmetatable({}, {__close = f})
    error 'closing'
  end,
}

local function step(times)
  for _ = 1, times do pcall(world.copas.step, 0) end
end

local waiting = {}
local function call(number)
  local d = draws.new(seed, number)
  local name = d:of(d:of(groups))
  local f = functions[name]
  local list, count = arguments(d, name)
  local context = d:upto(#contexts)
  if world.copas and endless[name:match '[.:]([%w_]+)$'] then context = 3 end
  local text = {}
  for index = 1, count do text[index] = shown(list[index]) end
  local line = ('%d %s(%s) in %d'):format(number, name, table.concat(text, ', '), context)
  local tampering = d:upto(100)
  local touched = world.object(d)
  if tampering <= 12 then line = line .. ' tampering ' .. tampering .. ' ' .. shown(touched) end
  log:write(line, '\n')
  if f == nil and not isStock then return end
  tamper.begin(d, world.value)
  if tampering <= 3 then
    for _, object in ipairs(order) do tamper.coroutine(pool[object]) end
    for co in pairs(waiting) do tamper.coroutine(co) end
  elseif tampering <= 5 then tamper.upvalues(functions[d:of(names)])
  elseif tampering == 6 then tamper.box(functions[d:of(names)])
  elseif tampering <= 8 then tamper.userdata(touched)
  elseif tampering <= 10 then tamper.fields(touched)
  elseif tampering == 11 then tamper.registry()
  elseif tampering == 12 and type(touched) == 'thread' and touched ~= coroutine.running() then
    if d:chance(70) then pcall(coroutine.resume, touched, world.value(d)) else pcall(coroutine.close, touched) end
  end
  if f then
    pcall(contexts[context], function()
      local co, isMain = coroutine.running()
      if not isMain then waiting[co] = true end
      local ok, result = pcall(f, table.unpack(list, 1, count))
      waiting[co] = nil
      -- What came of it is an object, too.
      if ok and (type(result) == 'userdata' or type(result) == 'function') and d:chance(20) then
        local place = 'result.' .. d:upto(8)
        if type(result) == 'userdata' and not io.type(result) then pcall(function() result:settimeout(0.001) end) end
        if pool[place] == nil then order[#order + 1] = place end
        pool[place] = result
      end
    end)
  end
  if world.copas then step(1) end
  if d:chance(5) then collectgarbage() end
  io.output():seek('set')
end
setmetatable(waiting, {__mode = 'k'})

local function prepare()
  pool, order = objects.make(isStock, tamper)
  if not isStock then
    world.copas = require 'copas'
    world.copas.seterrorhandler(function() end, true)
    world.light = require 'tango.codec.json'.null
    for key in pairs(debug.getregistry()) do
      if type(key) == 'userdata' then world.light = key break end
    end
  end
  kinds = values.new(world)
end

prepare()
learnAll()
if isStock then
  for index = #names, 1, -1 do names[index] = nil end
  for name in io.lines 'names' do names[#names + 1] = name end
else
  local file <close> = assert(io.open('names', 'w'))
  for _, name in ipairs(names) do file:write(name, '\n') end
end
group()
for number = first, first + calls - 1 do
  -- Objects are used up.
  if number % 500 == 0 and not isStock then prepare() end
  call(number)
end
log:write 'done\n'
os.exit(true, seed % 2 == 0)
