-- Encodes and decodes a nested table of 1 MB, again and again: with lua-cjson on any Lua 5.4, or with one of tango's codecs on
-- Milonga. Prints how many bytes of JSON the table stands for that went there and back, and the processor's seconds.
--
--   codec.lua cjson|tango|msgpack|json [ROUNDS]

local cjson = require 'cjson'
local name, rounds = arg[1], tonumber(arg[2] or 40)
local codec = name == 'cjson' and cjson or require 'tango'.codec[name]

local people, bytes = {}, 0
while bytes < 1000000 do
  for _ = 1, 500 do
    local i = #people + 1
    people[i] = {
      id = i, name = 'user ' .. i, tags = {'a', 'bc', 'def'}, score = i * 1.25, active = i % 2 == 0,
      address = {street = 'Main Street ' .. i, city = 'Springfield', zip = 10000 + i},
    }
  end
  bytes = #cjson.encode(people)
end

assert(codec.decode(codec.encode(people))[1000].address.street == 'Main Street 1000')
collectgarbage()
local start = os.clock()
for _ = 1, rounds do codec.decode(codec.encode(people)) end
print(rounds * bytes, os.clock() - start)
