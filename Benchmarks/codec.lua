-- Encodes and decodes a nested table whose JSON has 1 MB.
--
--   codec.lua cjson | luatobin | tango | msgpack | json    prints bytes of JSON and the seconds that they took

-- In the generational mode that both interpreters start in, this much garbage of one age makes
-- nearly every collection a full one, and most of the time would be the collector's.
collectgarbage 'incremental'

local rounds = 30
local encode, decode
if arg[1] == 'cjson' then
  local cjson = require 'cjson'
  encode, decode = cjson.encode, cjson.decode
elseif arg[1] == 'luatobin' then
  local luatobin = require 'luatobin'
  encode = luatobin.serialize
  decode = function(text)
    local _, value = luatobin.deserialize(text)
    return value
  end
else
  local codec = require('tango.codec.' .. arg[1])
  encode, decode = codec.encode, codec.decode
end

-- What a device reports: records with the same keys, texts and numbers, a third of them floats.
local records = {}
for i = 1, 4600 do
  records[i] = {
    id = i, name = 'sensor number ' .. i, active = i % 3 == 0, tags = {'alpha', 'beta', 'tag' .. i % 100},
    position = {x = i * 0.5, y = -i / 3}, values = {i, i + 1, i + 2, i + 3},
    readings = {i / 7, i / 11, i / 13, i / 17},
  }
end
local size = 1 << 20

local function check(value)
  assert(#value == #records and value[77].name == 'sensor number 77' and value[6].position.y == -2)
end

check(decode(encode(records)))
local start = os.clock()
for _ = 1, rounds do decode(encode(records)) end
print(rounds * size, os.clock() - start)
