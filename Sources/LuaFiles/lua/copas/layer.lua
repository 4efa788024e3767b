-- copas.layer: modules that are other modules with other sockets. Not part of Copas' interface.

local copas = require "copas"
local socket = require "socket"

local layer = {}

---A module with the fields of another one. Settings are shared: setting one sets it in both.
---@param original table
---@param settings string[] the names of settings
---@return table
function layer.over(original, settings)
  local shared = {}
  for _, name in ipairs(settings) do shared[name] = true end
  return setmetatable({}, {
    __index = original,
    __newindex = function(module, name, value)
      if shared[name] then
        original[name] = value
      else
        rawset(module, name, value)
      end
    end,
  })
end

---A copy of a request with these fields, where it has none of its own.
---@param request any returned as it is if it is no table
---@param fields table
---@return any
function layer.with(request, fields)
  if type(request) ~= "table" then return request end
  local copy = {}
  for name, value in pairs(fields) do copy[name] = value end
  for name, value in pairs(request) do copy[name] = value end
  return setmetatable(copy, getmetatable(request))
end

---A socket that makes only its own coroutine wait.
---@return table?
---@return string? err
function layer.tcp()
  local sock, err = socket.tcp()
  if not sock then return nil, err end
  return copas.wrap(sock)
end

return layer
