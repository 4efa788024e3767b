-- copas.debug.socket: a stand-in for a socket that prints what its methods are called with, and
-- what they return.

local iswrapped = ...

local shown = 30 -- bytes of a string

-- What the parameters and the results of methods are called.
local parameters = {
  connect = {"address", "port"},
  receive = {"pattern", "prefix"},
  receivefrom = {"size"},
  send = {"data", "first", "last"},
  sendto = {"data", "address", "port"},
  settimeout = {"seconds", "mode"},
}
local results = {
  accept = {"client", "error"},
  close = {"success", "error"},
  connect = {"success", "error"},
  dirty = {"data buffered"},
  getfd = {"descriptor"},
  receive = {"data", "error", "partial data"},
  receivefrom = {"data", "address or error", "port"},
  send = {"last index sent", "error", "last index before the error"},
  sendto = {"success", "error"},
  settimeout = {"success", "error"},
}

local function describe(value)
  if type(value) ~= "string" then return ("%s (%s)"):format(value, type(value)) end
  local text = #value > shown and value:sub(1, shown) .. "(...truncated)" or value
  return ("'%s' (string #%d)"):format(text, #value)
end

local function show(title, names, ...)
  print(title)
  for i = 1, select("#", ...) do
    print(("\t%s: %s"):format(names and names[i] or i, describe((select(i, ...)))))
  end
end

local calls = 0

local function finish(number, method, ...)
  show(("%d-results of '%s'"):format(number, method), results[method], ...)
  return ...
end

local function call(original, method, name, ...)
  calls = calls + 1
  local number = calls
  show(("%d-calling '%s' of '%s'"):format(number, name, original), parameters[name], ...)
  return finish(number, name, method(original, ...))
end

local originals = setmetatable({}, {__mode = "k"})

local stand_in = {
  __index = function(self, name)
    local original = originals[self]
    local method = original[name]
    if type(method) ~= "function" then return method end
    return function(_, ...) return call(original, method, tostring(name), ...) end
  end,
  __tostring = function(self) return tostring(originals[self]) end,
}

local function debugged(socket)
  if iswrapped(socket) then
    socket.socket = debugged(socket.socket)
    return socket
  end
  local kind = type(socket)
  if kind ~= "userdata" and kind ~= "table" then
    error("copas.debug.socket: socket expected, got " .. kind, 2)
  end
  local self = setmetatable({}, stand_in)
  originals[self] = socket
  return self
end

return debugged
