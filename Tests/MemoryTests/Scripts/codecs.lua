-- Values to bytes and back: tango's codecs, luatobin, mime, ltn12.
local codec = require 'tango'.codec
local luatobin, mime, ltn12 = require 'luatobin', require 'mime', require 'ltn12'

local list = {}
for i = 1, 300 do list[i] = {i, 'name ' .. i, {deep = {i / 2}}} end
local value = {list = list, text = ('x'):rep(40000), flag = true, [1] = 'a'}
for _, name in ipairs {'tango', 'msgpack', 'json'} do
  local c = codec[name]
  local back = c.decode(c.encode(name == 'json' and list or value))
  assert(#(back.list or back) == 300)
end
local shared = {}
local short = {1, 2.5, 'text', {shared, shared}, print and {a = true}}
local _, back = luatobin.deserialize(luatobin.serialize(short))
assert(back[3] == 'text' and back[4][1] == back[4][2])
assert(select(2, luatobin.deserialize(luatobin.serialize(list)))[300][2] == 'name 300')

local text = ('Ünïcode line\r\n'):rep(3000)
assert(mime.unb64((mime.b64(text))) == text)
assert(#mime.qp(text) > #text)
local parts = {}
ltn12.pump.all(
  ltn12.source.chain(ltn12.source.string(text), mime.encode 'base64'),
  (ltn12.sink.table(parts)))
assert(#table.concat(parts) > #text)
