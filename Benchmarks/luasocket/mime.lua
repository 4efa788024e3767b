-- A low-level filter of `mime` on strings of 1 MiB; processor time.
--
--   mime.lua b64 | unb64 | qp-text | qp-random SECONDS

local mime = require 'mime.core'

local SIZE = 1 << 20
local name, least = arg[1], tonumber(arg[2])

math.randomseed(20)
local random = math.random

local function random_bytes()
  local words = {}
  for i = 1, SIZE // 8 do words[i] = string.pack('<I8', random(0)) end
  return table.concat(words)
end

-- Lines of words, now and then with a letter that is not ASCII.
local function text()
  local parts, size, column = {}, 0, 0
  while size < SIZE do
    local word = {}
    for i = 1, random(2, 9) do word[i] = string.char(random(97, 122)) end
    if random(40) == 1 then word[1] = '\xc3\xa9' end
    column = column + #word + 1
    parts[#parts + 1] = table.concat(word) .. (column > 70 and '\r\n' or ' ')
    if column > 70 then column = 0 end
    size = size + #parts[#parts]
  end
  return table.concat(parts):sub(1, SIZE)
end

local filter = mime[name:match '^%w+']
local input = name == 'qp-text' and text() or random_bytes()
if name == 'unb64' then input = mime.b64(input):sub(1, SIZE) end

local bytes, start = 0, os.clock()
local seconds
repeat
  for _ = 1, 10 do assert(filter(input)) end
  bytes = bytes + 10 * #input
  seconds = os.clock() - start
until seconds >= least
print(bytes, seconds)
