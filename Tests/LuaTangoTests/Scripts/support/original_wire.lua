-- The original's wire, for Lua 5.1: sockets as LuaSocket makes them, and tables as text that its
-- serializer would write and `loadstring` reads. It is our own code, made from what the original
-- sends.

local wire = {}

local write

local function quoted(text)
  text = text:gsub('\n', '\\n')
  -- Only double quotes in it: single quotes around it.
  if text:find '"' and not text:find "'" then return "'" .. text .. "'" end
  return '"' .. text:gsub('"', '\\"') .. '"'
end

local function item(value)
  local kind = type(value)
  if kind == 'string' then return quoted(value) end
  if kind == 'table' then return write(value) end
  if kind == 'number' or kind == 'boolean' then return tostring(value) end
  return 'nil'
end

-- Elements up to the first hole, and all else with its key.
function write(value)
  local parts, elements = {}, 0
  for i, v in ipairs(value) do
    parts[i], elements = item(v), i
  end
  for k, v in pairs(value) do
    if not (type(k) == 'number' and k % 1 == 0 and k >= 1 and k <= elements) then
      local isName = type(k) == 'string' and k:find '^[%a_][%w_]*$'
      parts[#parts + 1] = (isName and k or '[' .. item(k) .. ']') .. '=' .. item(v)
    end
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

wire.write = write

-- The length and the message in a write each.
function wire.send(socket, value)
  local text = write(value)
  assert(socket:send(#text .. '\n'))
  assert(socket:send(text))
end

function wire.receive(socket)
  local line = assert(socket:receive '*l')
  local length = assert(tonumber(line), 'no length: ' .. line)
  return assert(loadstring('return ' .. assert(socket:receive(length))))()
end

-- Calls a function of a server; its status and results in a table.
function wire.call(socket, ...)
  wire.send(socket, {...})
  return wire.receive(socket)
end

return wire
