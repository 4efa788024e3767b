-- Changes of a message that make sense for every format. Each takes the text and a place in it.

local random = math.random

local mutations = {}

-- The text ends there.
function mutations.cut(text, i) return text:sub(1, i) end

-- Some bytes are missing.
function mutations.leaveOut(text, i) return text:sub(1, i) .. text:sub(i + random(1, 6)) end

-- One bit is another one.
function mutations.flip(text, i)
  local byte = text:byte(i) or 0
  return text:sub(1, i - 1) .. string.char(byte ~ (1 << random(0, 7))) .. text:sub(i + 1)
end

return mutations
