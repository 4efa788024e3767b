-- The loaders of our modules in Lua are like those of files: functions of Lua whose first upvalue
-- is an environment of their own, in which a program can load a module once more, with its own
-- sockets.
local names = {
  "socket", "socket.http", "socket.ftp", "socket.smtp", "socket.tp", "socket.url", "socket.headers", "ltn12", "mime",
  "copas.http", "copas.ftp", "copas.smtp",
}

local function loaderof(name)
  for _, searcher in ipairs(package.searchers) do
    local loader, extra = searcher(name)
    if type(loader) == "function" then return loader, extra end
  end
end

for _, name in ipairs(names) do
  local loader, extra = loaderof(name)
  assert(debug.getinfo(loader, "S").what == "Lua", name)
  assert(debug.getupvalue(loader, 1) == "_ENV", name)
  local asked = {}
  local env = setmetatable({
    require = function(module)
      asked[module] = true
      return require(module)
    end,
  }, { __index = _G })
  debug.setupvalue(loader, 1, env) -- it is the loader's own
  local module = loader(name, extra)
  assert(type(module) == "table", name)
  if name:find "^socket%." then assert(module ~= require(name), name) end
  assert(next(asked) or name == "ltn12", name .. " asks for nothing")
  for other, _ in pairs(asked) do assert(package.loaded[other], other) end
  for _, other in ipairs(names) do
    if other ~= name then assert(select(2, debug.getupvalue(loaderof(other), 1)) ~= env, other) end
  end
end

-- A module that was loaded so makes the sockets that its environment has.
local socket = require "socket"
local made = {}
local own = setmetatable({
  tcp = function()
    made[#made + 1] = true
    return nil, "made here"
  end,
}, { __index = socket, __newindex = function() end })
local env = setmetatable({
  require = function(name) return name == "socket" and own or package.loaded[name] or require(name) end,
}, { __index = _G })
local function load(name)
  local loader = loaderof(name)
  debug.upvaluejoin(loader, 1, function() return env end, 1)
  return loader(name)
end
local _, why = load "socket.http".request "http://127.0.0.1/"
assert(why == "made here" and #made == 1, why)
package.loaded["socket.tp"] = load "socket.tp"
_, why = load "socket.ftp".get "ftp://127.0.0.1/x"
assert(why == "made here" and #made == 2, why)
_, why = load "socket.smtp".send { from = "<a@b>", rcpt = "<c@d>", source = print }
assert(why == "made here" and #made == 3, why)
assert(select(2, require "socket.http".request "http://127.0.0.1:1/") == "connection refused" and #made == 3)
