-- Prints what calls return, in a form that does not change from run to run.
local socket = require "socket"

local M = {}
local ports = {}

--- The port is printed as `<name>` from now on.
function M.port(number, name)
  ports[math.tointeger(tonumber(number))] = name or "port"
  return number
end

-- Milonga's messages say what they got, where LuaSocket's do not.
function M.common(message)
  message = message:gsub("({%a+} expected), got [^)]*", "%1")
  return (message:gsub("(invalid %a+ %a+), got [^)]*", "%1"):gsub("(ip expected), got [^)]*", "%1"))
end

local function text(string)
  if #string <= 60 then return string.format("%q", string) end
  local sum = 0
  for i = 1, #string do sum = (sum * 31 + string:byte(i)) % 1000003 end
  return string.format("%q...(%d bytes, sum %d)", string:sub(1, 20), #string, sum)
end

local function value(v, seen)
  local kind = type(v)
  if kind == "string" then return text(M.common(v)) end
  if kind == "number" then
    local whole = math.tointeger(v)
    if whole and ports[whole] then return "<" .. ports[whole] .. ">" end
    return tostring(v)
  end
  if kind == "userdata" then return (tostring(v):gsub("0x%x+", "<address>")) end
  if kind ~= "table" then return kind == "boolean" and tostring(v) or kind end
  if seen[v] then return "<again>" end
  seen[v] = true
  local parts = {}
  for key, field in pairs(v) do
    if type(key) == "string" and not key:find "^%a+$" then key = text(key) end
    key = type(key) == "table" and (key.name or "table")
      or type(key) == "userdata" and value(key, seen) or tostring(key)
    parts[#parts + 1] = key .. " = " .. value(field, seen)
  end
  table.sort(parts)
  seen[v] = nil
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- The values as one line.
function M.values(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = value((select(i, ...)), {}) end
  return #parts == 0 and "(nothing)" or table.concat(parts, ", ")
end

--- What `getsockname` returns. The port is a string in LuaSocket 3.1.0 and an integer in ours.
function M.name(s)
  local host, port, family = s:getsockname()
  if not host then return host, port end
  return host, math.tointeger(tonumber(port)), family
end

--- Prints a label and values.
function M.show(label, ...) print(label .. ": " .. M.values(...)) end

--- Prints what a call returns, or the error that it raises.
function M.try(label, body, ...)
  local results = table.pack(pcall(body, ...))
  if results[1] then
    M.show(label, table.unpack(results, 2, results.n))
  else
    print(label .. " ! " .. M.common(tostring(results[2])):gsub("0x%x+", "<address>"))
  end
  return table.unpack(results, 2, results.n)
end

--- A listening socket on a free port of loopback.
function M.listener(host)
  local server = assert(socket.bind(host or "127.0.0.1", 0))
  local _, port = server:getsockname()
  M.port(port, "server")
  return server, port
end

--- Both ends of a connection, and the socket that listens.
function M.pair(host)
  local server, port = M.listener(host)
  local client = assert(socket.connect(host or "127.0.0.1", port))
  -- When the connect had to wait, the system lets one more succeed; the next one fails for sure.
  client:connect(host or "127.0.0.1", port)
  local accepted = assert(server:accept())
  M.port(select(2, client:getsockname()), "client")
  return client, accepted, server
end

local held = {}

--- A port of loopback on which no program listens, or will listen: a socket that does not listen
--- holds it.
function M.freePort(host)
  local holder = host and socket.tcp6() or socket.tcp4()
  assert(holder:bind(host or "127.0.0.1", 0))
  held[#held + 1] = holder
  local _, port = holder:getsockname()
  return M.port(tonumber(port), "free")
end

--- Resets the connection: the peer's next operation fails.
function M.reset(connection)
  assert(connection:setoption("linger", {on = true, timeout = 0}))
  connection:close()
end

return M
