-- ltn12 and mime under random plumbing: the same seed gives the same plumbing everywhere.
local ltn12 = require "ltn12"
local mime = require "mime"
math.randomseed(tonumber(arg[1] or 1), 12)
local random = math.random

local function bytes(size)
  local t = {}
  for i = 1, size do t[i] = string.char(random(4) == 1 and ({ 13, 10, 61, 46, 32, 9 })[random(6)] or random(0, 255)) end
  return table.concat(t)
end

-- Cuts data at random places; some pieces may be empty.
local function cut(data, empties)
  local pieces, at = {}, 1
  while at <= #data do
    local size = random(0, 1) == 0 and random(1, 5) or random(1, 200)
    if empties and random(8) == 1 then size = 0 end
    pieces[#pieces + 1] = data:sub(at, at + size - 1)
    at = at + size
  end
  return pieces
end

-- A filter that gives out `size` bytes at a time, and owes the rest.
local function drip(size)
  local buffer = ""
  return function(chunk)
    buffer = buffer .. (chunk or "")
    local out = buffer:sub(1, size)
    buffer = buffer:sub(size + 1)
    if out == "" and not chunk then return nil end
    return out
  end
end

-- A filter that collects at least `size` bytes.
local function gather(size)
  local buffer = ""
  return function(chunk)
    buffer = buffer .. (chunk or "")
    if chunk and #buffer < size then return "" end
    local out = buffer
    buffer = ""
    if out == "" and not chunk then return nil end
    return out
  end
end

local function upper(chunk) return chunk and chunk:upper() end
local makers = {
  function() return drip(random(1, 7)) end,
  function() return gather(random(1, 40)) end,
  function() return upper end,
  function() return mime.encode("base64") end,
  function() return mime.encode("quoted-printable", random(2) == 1 and "binary" or nil) end,
  function() return mime.normalize(random(2) == 1 and "\n" or nil) end,
  function() return mime.stuff() end,
  function() return mime.wrap(random(2) == 1 and "text" or nil, random(1, 90)) end,
  function() return ltn12.filter.chain(drip(3), gather(5)) end,
  function() return ltn12.filter.chain(mime.encode "base64", mime.wrap "base64", mime.decode "base64") end,
  function()
    local name = "quoted-printable"
    return ltn12.filter.chain(mime.encode(name), mime.wrap(name), mime.decode(name))
  end,
}
local function filters(n)
  local t = {}
  for i = 1, n do t[i] = makers[random(#makers)]() end
  return t
end

local function digest(pieces)
  local text = table.concat(pieces)
  local h = 0
  for i = 1, #text do h = (h * 31 + text:byte(i)) & 0xffffffff end
  return #text .. ":" .. h
end

for round = 1, 400 do
  local data = bytes(random(0, 900))
  print("== round " .. round)
  local inputs = filters(random(0, 3))
  local source
  local kind = random(4)
  if kind == 1 then
    source = ltn12.source.string(data)
  elseif kind == 2 then
    source = ltn12.source.table(cut(data, true))
  elseif kind == 3 then
    source = ltn12.source.cat(ltn12.source.table(cut(data)), ltn12.source.empty(), ltn12.source.string(data))
  else
    source = ltn12.source.rewind(ltn12.source.table(cut(data)))
    source("pushed")
  end
  if random(5) == 1 then
    local inner, left = source, random(1, 6)
    source = function()
      left = left - 1
      if left == 0 then return nil, "broken source" end
      return inner()
    end
  end
  if #inputs > 0 then source = ltn12.source.chain(source, table.unpack(inputs)) end
  local sink, out = ltn12.sink.table()
  if random(6) == 1 then
    local inner, left = sink, random(1, 6)
    sink = function(chunk, err)
      left = left - 1
      if left == 0 then return nil, "broken sink" end
      return inner(chunk, err)
    end
  end
  local outputs = filters(random(0, 3))
  if #outputs > 0 then
    outputs[#outputs + 1] = sink
    sink = ltn12.sink.chain(table.unpack(outputs))
  end
  local results = table.pack(pcall(ltn12.pump.all, source, sink))
  print(results[1], results[2], results[3], digest(out), #out)
end

-- Encodings fed in pieces give what they give in one piece.
for round = 1, 200 do
  print("== pieces " .. round)
  local data = bytes(random(0, 500))
  for _, make in ipairs {
    function() return mime.encode "base64" end, function() return mime.encode "quoted-printable" end,
    function() return mime.encode("quoted-printable", "binary") end, function() return mime.normalize() end,
    function() return mime.stuff() end, function() return mime.wrap("text", 20) end,
    function() return mime.wrap "quoted-printable" end, function() return mime.decode "quoted-printable" end,
    function() return mime.decode "base64" end,
  } do
    local function through(pieces)
      local sink, out = ltn12.sink.table()
      assert(ltn12.pump.all(ltn12.source.table(pieces), ltn12.sink.chain(make(), sink)))
      return table.concat(out)
    end
    local whole, cutup = through { data }, through(cut(data))
    io.write(digest { whole }, whole == cutup and " " or " DIFFERS ")
  end
  print()
end
