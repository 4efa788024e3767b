-- Results that are too large for the memory there is.
local mime, codec, luatobin = require 'mime', require 'tango'.codec, require 'luatobin'
local function fails(f, ...)
  local ok, message = pcall(f, ...)
  assert(not ok and message == 'not enough memory', message)
end
local large = ('x'):rep(90 << 20)
fails(mime.b64, large)
fails(mime.qp, large)
for _, name in ipairs {'tango', 'msgpack', 'json'} do fails(codec[name].encode, {large, large}) end
local list = {}
for i = 1, 20 do list[i] = {('y'):rep(60000)} end
large = nil
collectgarbage()
for _ = 1, 3 do
  -- A million tables of which each byte says one.
  local ok, message = pcall(codec.msgpack.decode, '\xdd\0\x0f\x42\x40' .. ('\x90'):rep(1000000))
  assert(ok or message == 'not enough memory', message)
end
assert(select(2, luatobin.deserialize(luatobin.serialize(list)))[20][1] == list[20][1])
print 'alive'
