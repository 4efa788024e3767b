-- mime: the high-level filters.
local mime = require "mime"
local case = require("calls").case

-- What a filter makes of these pieces, and of the end.
local function feed(filter, ...)
  local output = {}
  for _, piece in ipairs { ... } do output[#output + 1] = tostring(filter(piece)) end
  output[#output + 1] = tostring(filter(nil))
  output[#output + 1] = tostring(filter(nil))
  return table.concat(output, "|")
end

for _, name in ipairs { "base64", "quoted-printable", "text", "BASE64", "default", "", 7 } do
  for _, kind in ipairs { "encode", "decode", "wrap" } do
    case(kind .. " " .. name, mime[kind], name)
  end
end
for _, kind in ipairs { "encode", "decode", "wrap" } do case(kind, mime[kind]) end

local text = { "abcdefghijklm", "nop" }
for _, name in ipairs { "text", "base64", "default", "quoted-printable" } do
  case("wrap " .. name .. ", 5", feed, mime.wrap(name, 5), table.unpack(text))
end
case("wrap number", feed, mime.wrap(5), table.unpack(text))
case("wrap nil, 5", feed, mime.wrap(nil, 5), table.unpack(text))
case("wrap long", feed, mime.wrap(), ("x"):rep(100), ("y"):rep(100))

for _, mode in ipairs { "binary", "text", "other" } do
  case("quoted-printable, " .. mode, feed, mime.encode("quoted-printable", mode), "a\r\nb", "nop\n")
end
case("quoted-printable back", feed, mime.decode "quoted-printable", "a=3Db=", "\r\nc=\r", "\nd=0")
case("base64", feed, mime.encode "base64", "a", "bc", "defg")
case("base64 back", feed, mime.decode "base64", "YWJ", "jZA", "==")
case("normalize", feed, mime.normalize(), "a\nb\r", "\nc")
case("normalize, marker", feed, mime.normalize "X", "a\nb\r", "\nc")
case("stuff", feed, mime.stuff(), ".\r\n", ".x\r\n..")

-- names that programs add
mime.encodet.mine = function(first, second) return tostring(first) .. tostring(second) end
mime.wrapt.default = function(...) return select("#", ...) end
case("own encoding", mime.encode, "mine", 1, 2)
case("own default", mime.wrap)
