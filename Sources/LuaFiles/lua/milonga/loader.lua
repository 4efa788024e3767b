-- The loaders of the modules that are written in Lua. They are like those of files: functions of
-- Lua whose upvalue _ENV, the first, is the environment of the module. A program can give a loader
-- another one, with `require` and sockets of its own.

local open = ... -- gives the function that a file is, by the file's number

return function(number)
  local _ENV = _ENV -- each loader has its own
  return function(...)
    local environment = _ENV
    return open(number, environment)(...)
  end
end
