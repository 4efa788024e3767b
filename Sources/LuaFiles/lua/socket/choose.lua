-- socket.choose: functions that make something by its name: sources, sinks, encodings.

---A function that calls a function in `factories`: the one that its first argument names, or
---"default" when that argument is not a name.
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
