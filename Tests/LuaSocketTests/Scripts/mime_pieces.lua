-- The low-level filters of `mime`, fed with pieces cut at every place.
local mime = require "mime.core"
local t = require "show"

local eight = {}
for byte = 0, 255 do eight[#eight + 1] = string.char(byte) end

local texts = {
  {"empty", ""}, {"one", "a"}, {"two", "ab"}, {"three", "abc"}, {"four", "abcd"},
  {"words", "one two  three\tfour \t five"},
  {"lines", "first\r\nsecond \r\nthird\t\r\n \r\n\r\nend"},
  {"unix", "first\nsecond \n\n\nthird"},
  {"mac", "first\rsecond \r\r\rthird\r"},
  {"mixed", "\n\r\n\r\r\n\n\r\r\r\n\n\n"},
  {"blanks", "          "}, {"alternating", " a a a a a a "},
  {"ends", "a \r\nb\t\r\nc  \r\n d\r\n\t"},
  {"nul", "a\0b\0\0c\0"}, {"nul first", "\0abc"},
  {"8 bit", "na\xc3\xafve \xff\xfe\x80 caf\xe9\r\n"},
  {"controls", "\1\2\7\8\11\12\14\27\31\127 =\61="},
  {"dots", ".\r\n.\r\n..\r\n.a.\n.b\r.c\r\n"},
  {"escapes", "=41=4a=4B=XX=\r\n==41=4=\n=\r=0"},
  {"escapes that end early", "abc=4"}, {"an escape alone", "="},
  {"nul escaped", "a=00b=00"},
  {"base64", "QUJDREVGRw=="}, {"base64 one pad", "QUJDREVGR0g="},
  {"base64 lines", "QUJD\r\nREVG\r\nR0hJ\r\n"}, {"base64 noise", "Q!U\0J D\xffRE-V_G"},
  {"base64 pads anywhere", "=QUJ=DRE=V==GR=="}, {"base64 unfinished", "QUJDR"},
  {"all bytes", table.concat(eight, "", 1, 128)}, {"high bytes", table.concat(eight, "", 129)},
  {"a long line", ("0123456789 abcdef="):rep(12)},
}

local two = {"b64", "unb64", "qp", "unqp"}

-- The protocol of ltn12's filters: what is left comes back with the next piece.
local function feed(f, pieces, ...)
  local parts, rest, out = {}, ""
  for _, piece in ipairs(pieces) do
    out, rest = f(rest, piece, ...)
    parts[#parts + 1] = out .. "|" .. rest
  end
  out, rest = f(rest, nil, ...)
  parts[#parts + 1] = tostring(out) .. "|" .. tostring(rest)
  return table.concat(parts, " & ")
end

for _, name in ipairs(two) do
  local f = mime[name]
  for _, entry in ipairs(texts) do
    local label, text = name .. " " .. entry[1], entry[2]
    t.show(label, f(text))
    for cut = 0, #text do
      local first, second = text:sub(1, cut), text:sub(cut + 1)
      t.show(label .. " " .. cut, f(first, second))
      t.show(label .. " then " .. cut, feed(f, {first, second}))
    end
    local bytes = {}
    for i = 1, #text do bytes[i] = text:sub(i, i) end
    t.show(label .. " byte by byte", feed(f, bytes))
    t.show(label .. " and nothing", f(text, ""))
    t.show(label .. " after nothing", f("", text))
    if name == "qp" then
      for _, marker in ipairs {"", "\n", "=0D=0A", "a long marker in between", "cut\0off", "\0"} do
        t.show(label .. " marker", f(text, nil, marker))
        t.show(label .. " marker", feed(f, bytes, marker))
      end
    end
  end
end

-- The functions with a number for their state.
local function chain(f, state, pieces, ...)
  local parts, out = {}
  for _, piece in ipairs(pieces) do
    out, state = f(state, piece, ...)
    parts[#parts + 1] = out .. "|" .. state
  end
  out, state = f(state, nil, ...)
  parts[#parts + 1] = tostring(out) .. "|" .. state
  return table.concat(parts, " & ")
end

local function cuts(label, f, text, state, ...)
  t.show(label, f(state, text, ...))
  for cut = 0, #text do
    t.show(label .. " " .. cut, chain(f, state, {text:sub(1, cut), text:sub(cut + 1)}, ...))
  end
end

for _, entry in ipairs(texts) do
  local label, text = entry[1], entry[2]
  for _, name in ipairs {"wrp", "qpwrp"} do
    for _, length in ipairs {76, 20, 5, 4, 3, 2, 1, 0, -3} do
      for _, left in ipairs {length, length - 1, 1, 0, -1} do
        t.show(("%s %s %d of %d"):format(name, label, left, length), mime[name](left, text, length))
      end
    end
    cuts(name .. " " .. label, mime[name], text, 7, 7)
  end
  cuts("eol " .. label, mime.eol, text, 0)
  for _, marker in ipairs {"", "\n", "a long marker", "cut\0off"} do
    cuts("eol " .. label, mime.eol, text, 0, marker)
  end
  for _, context in ipairs {10, 13, 1, -1, 2 ^ 32 + 13} do
    t.show("eol " .. label .. " " .. context, mime.eol(context, text))
  end
  for state = 0, 3 do cuts("dot " .. label .. " " .. state, mime.dot, text, state) end
end
