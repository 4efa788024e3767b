-- What the debug library can do to objects of ours: to the stacks of functions that run or wait, to
-- upvalues, to what belongs to userdata, to the registry. It leaves the standard library's
-- functions alone, and what Lua's virtual machine has on the stack: those end the stock lua5.4 as
-- well.
local tamper = {}

local ours = {}          -- our functions
local draw, value        -- of the call that is being made

function tamper.begin(draws, values) draw, value = draws, values end

function tamper.learn(f) ours[f] = true end

local getinfo, getlocal, setlocal = debug.getinfo, debug.getlocal, debug.setlocal

-- A level of `co`, or of the running coroutine, whose function is ours and written in Swift.
local function isOurs(info) return info and info.what == 'C' and ours[info.func] end

-- The functions that have called this one.
function tamper.callers()
  if not draw then return end
  for level = 2, 12 do
    local info = getinfo(level, 'Sf')
    if not info then break end
    if isOurs(info) then
      for slot = 1, 9 do
        if draw:chance(40) and getlocal(level, slot) then setlocal(level, slot, value(draw)) end
      end
    end
  end
end

-- A coroutine that waits.
function tamper.coroutine(co)
  if type(co) ~= 'thread' or co == coroutine.running() then return end
  for level = 0, 6 do
    local info = getinfo(co, level, 'Sf')
    if not info then break end
    if isOurs(info) then
      for slot = -2, 9 do
        if draw:chance(40) then pcall(setlocal, co, level, slot, value(draw)) end
      end
    end
  end
end

function tamper.upvalues(f)
  if type(f) ~= 'function' or not ours[f] or not draw then return end
  local index = draw:of {1, 1, 2, 2, 3}
  local name, old = debug.getupvalue(f, index)
  if not name then return end
  debug.setupvalue(f, index, value(draw))
  pcall(f, value(draw), value(draw))
  -- Or nothing would be left to call.
  if draw:chance(90) then debug.setupvalue(f, index, old) end
end

function tamper.userdata(object)
  if type(object) == 'table' then
    for _, part in next, object do
      if type(part) == 'userdata' then object = part break end
    end
  end
  if type(object) ~= 'userdata' or io.type(object) then return end
  local what = draw:upto(4)
  if what == 1 then
    pcall(debug.setuservalue, object, value(draw), draw:of {1, 1, 2, 3})
  elseif what == 2 then
    local part = debug.getuservalue(object, 1)
    if type(part) == 'table' then
      local key = next(part)
      if key ~= nil then part[key] = value(draw) end
    end
  elseif what == 3 and draw:chance(20) then
    pcall(debug.setmetatable, object, draw:chance(50) and {} or nil)
  else
    tamper.finalise(object)
  end
end

-- Metamethods that Lua calls, called by hand.
function tamper.finalise(object)
  if type(object) ~= 'userdata' and type(object) ~= 'table' or io.type(object) then return end
  local meta = debug.getmetatable(object)
  if type(meta) ~= 'table' then return end
  for _, event in ipairs {'__gc', '__close'} do
    local f = rawget(meta, event)
    if type(f) == 'function' and ours[f] then pcall(f, object) pcall(f, object) end
  end
end

-- The box of a function: the userdata that holds the Swift closure.
function tamper.box(f)
  if type(f) ~= 'function' or not ours[f] then return end
  local name, box = debug.getupvalue(f, 1)
  if not name or type(box) ~= 'userdata' then return end
  local meta = debug.getmetatable(box)
  if meta and draw:chance(10) then pcall(meta.__gc, box) end
  if meta and draw:chance(50) then pcall(meta.__gc, value(draw)) end
end

-- Fields that pairs shows.
function tamper.fields(object)
  if type(object) ~= 'table' then return end
  local keys = {}
  for key in next, object do keys[#keys + 1] = key end
  if #keys > 0 and #keys < 30 then rawset(object, draw:of(keys), value(draw)) end
end

-- What Lua and its libraries need stays.
local kept = {
  [1] = true, [2] = true, _LOADED = true, _PRELOAD = true, _CLIBS = true, ['FILE*'] = true, _IO_input = true,
  _IO_output = true, LUA_NOENV = true,
}

function tamper.registry()
  local registry = debug.getregistry()
  local all = draw:chance(20)
  for key, old in pairs(registry) do
    if not kept[key] and (all or draw:chance(10)) then
      if draw:chance(50) or type(old) ~= type(key) then registry[key] = nil else registry[key] = value(draw) end
    end
  end
  if all then collectgarbage() end
end

return tamper
