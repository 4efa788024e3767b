-- A chain of filters used by hand, with and without asking for what it owes, gives what a source
-- with the same filters gives. usage: chains.lua seed
math.randomseed(tonumber(arg[1]) or 1)
local ltn12 = require "ltn12"
local mime = require "mime"
local chain = ltn12.filter.chain

local function base64() return mime.encode "base64", mime.wrap "base64" end
local kinds = {
  base64,
  function() return mime.encode("quoted-printable", "text"), mime.wrap "quoted-printable" end,
  function() return mime.encode "base64", mime.wrap "base64", mime.decode "base64" end,
  function() return chain(base64()), mime.decode "base64" end, -- a chain in a chain
  function() return mime.normalize(), mime.stuff() end,
  function() return function(chunk) return chunk end end,
  function() -- nothing before the end
    local kept = {}
    return function(chunk)
      if chunk then
        kept[#kept + 1] = chunk
        return ""
      end
      local text = table.concat(kept)
      kept = {}
      return #text > 0 and text or nil
    end, mime.wrap("text", 10)
  end,
}

local function pieces(text)
  local list = {}
  while #text > 0 do
    local size = math.random(0, 3) == 0 and math.random(400) or math.random(5)
    list[#list + 1], text = text:sub(1, size), text:sub(size + 1)
  end
  return list
end

local function bysource(list, kind)
  local out = {}
  local source = ltn12.source.chain(ltn12.source.table(list), kind())
  assert(ltn12.pump.all(source, (ltn12.sink.table(out))))
  return table.concat(out)
end

-- `asks`: how often "" asks for what is owed; math.huge for always.
local function byhand(list, filter, asks)
  local out = {}
  for _, piece in ipairs(list) do
    out[#out + 1] = filter(piece)
    for _ = 1, math.min(asks, 1000) do
      local more = filter ""
      out[#out + 1] = more
      if more == "" then break end
    end
  end
  out[#out + 1] = filter(nil) or ""
  return table.concat(out)
end

for number, kind in ipairs(kinds) do
  for _ = 1, 60 do
    local text = {}
    for i = 1, math.random(0, 600) do
      text[i] = string.char(math.random(4) == 1 and math.random(0, 255) or math.random(97, 122))
    end
    local list = pieces(table.concat(text))
    local want = bysource(list, kind)
    for _, asks in ipairs { 0, math.huge, 1 } do
      local filter = chain(kind()) -- those of mime are for one stream
      local got = byhand(list, filter, asks)
      assert(got == want, ("kind %d: %q instead of %q"):format(number, got, want))
      if math.random(2) == 1 then assert(not filter(nil), "asked once more at the end") end
    end
  end
end
assert(chain()(nil) == nil)

-- A filter that can begin anew does so after one nil, and after more.
local function ending()
  return function(chunk) return chunk and chunk ~= "" and chunk .. "-" or chunk end
end
local anew = chain(ending(), ending())
assert(anew "a" == "a--" and anew(nil) == nil and anew "b" == "b--" and anew "c" == "c--")
