-- Encodes and decodes a nested table whose JSON has 1 MB.
--
--   codec.lua cjson | luatobin    prints bytes of JSON and the seconds that they took

local rounds = 30
local encode, decode
if arg[1] == 'cjson' then
  local cjson = require 'cjson'
  encode, decode = cjson.encode, cjson.decode
else
  local luatobin = require 'luatobin'
  encode = luatobin.serialize
  decode = function(text)
    local _, value = luatobin.deserialize(text)
    return value
  end
end

-- Records as they are in configurations and reports: the same keys, different texts and numbers.
local records = {}
for i = 1, 4970 do
  records[i] = {
    id = i, name = 'record number ' .. i, active = i % 3 == 0, tags = {'alpha', 'beta', 'tag' .. i % 100},
    position = {x = i * 0.5, y = -i * 0.25}, values = {i, i + 1, i + 2, i + 3},
    text = 'some text that has more than forty characters: ' .. i,
  }
end
local size = 1 << 20

local function check(value)
  assert(#value == #records and value[77].name == 'record number 77' and value[5].position.y == -1.25)
end

check(decode(encode(records)))
local start = os.clock()
for _ = 1, rounds do decode(encode(records)) end
print(rounds * size, os.clock() - start)
