-- socket.choose: functions that make something by its name: sources, sinks, encodings.

---A function that calls the one in `factories` which its first argument names; when that is
---no name, the one called "default".
---@param factories table<string, function>
---@return function
return function(factories)
  local function find(name)
    local factory = factories[name]
    if not factory then error("unknown key (" .. name .. ")", 4) end
    return factory
  end
  return function(name, first, second)
    if type(name) == "string" then return find(name)(first, second) end
    return find("default")(name, first)
  end
end
