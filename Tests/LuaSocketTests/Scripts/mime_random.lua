-- The functions of `mime.core` with random text in random pieces; the same on every run.
local mime = require "mime.core"
local t = require "show"

math.randomseed(1969, 1973)
local random = math.random

-- Letters that matter, from all that may come to few that often meet.
local alphabets = {
  function() return string.char(random(0, 255)) end,
  function() return string.char(random(32, 126)) end,
  function() local s = "\r\n \t.=aB4" local i = random(#s) return s:sub(i, i) end,
  function() local s = "\r\n" local i = random(#s) return s:sub(i, i) end,
  function() local s = "ABCDefgh0189+/+/=\r\n-" local i = random(#s) return s:sub(i, i) end,
  function() return ({"a", "word ", "=41", "=\r\n", "\r\n", " \r\n", "=E9", "\xe9", "..", "\r\n."})[random(10)] end,
  function() return random(60) == 1 and ({"\r\n", "\n", " \r\n", "\xc3\xa9", "="})[random(5)] or string.char(random(97, 122)) end,
}

local function text(length)
  local alphabet, parts = alphabets[random(#alphabets)], {}
  for i = 1, length do parts[i] = alphabet() end
  return table.concat(parts)
end

local function pieces(whole)
  local list, at = {}, 1
  while at <= #whole do
    local size = random(random(12) == 1 and 200 or 9)
    list[#list + 1] = whole:sub(at, at + size - 1)
    at = at + size
  end
  return list
end

local markers = {nil, "\r\n", "\n", "", "=0D=0A", "<a line ends here>"}

for _ = 1, 300 do
  local whole = text(random(4) == 1 and random(2000) or random(100))
  local list = pieces(whole)
  for _, name in ipairs {"b64", "unb64", "qp", "unqp"} do
    local marker = name == "qp" and markers[random(6)] or nil
    t.show(name, mime[name](whole, nil, marker))
    local out, rest, answer = {}, ""
    for i, piece in ipairs(list) do
      answer, rest = mime[name](rest, piece, marker)
      out[i] = answer
    end
    t.show(name .. " in pieces", table.concat(out), rest)
    t.show(name .. " at the end", mime[name](rest, nil, marker))
  end
  for _, name in ipairs {"wrp", "qpwrp", "eol", "dot"} do
    local state = name == "dot" and 2 or name == "eol" and 0 or random(80)
    local extra
    if name == "eol" then extra = markers[random(6)] elseif name ~= "dot" then extra = random(80) end
    t.show(name, mime[name](state, whole, extra))
    local out, answer = {}
    for i, piece in ipairs(list) do
      answer, state = mime[name](state, piece, extra)
      out[i] = answer
    end
    t.show(name .. " in pieces", table.concat(out), state)
    t.show(name .. " at the end", mime[name](state, nil, extra))
  end
  t.show("round trip", mime.unb64(mime.b64(whole) or "") == (whole ~= "" and whole or nil))
end

-- Some large ones.
for _, alphabet in ipairs(alphabets) do
  local parts = {}
  for i = 1, 50000 do parts[i] = alphabet() end
  local whole = table.concat(parts)
  local coded, quoted = mime.b64(whole), mime.qp(whole)
  t.show("b64", coded)
  t.show("unb64", mime.unb64(coded))
  t.show("unb64 of lines", mime.unb64((mime.wrp(76, coded))))
  t.show("qp", quoted)
  t.show("unqp", mime.unqp(quoted))
  t.show("wrp", mime.wrp(76, whole))
  t.show("qpwrp", mime.qpwrp(76, quoted))
  t.show("eol", mime.eol(0, whole))
  t.show("dot", mime.dot(2, whole))
end
