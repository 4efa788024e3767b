-- socket.url under random URLs. Bases that climb above the root are left out: stock takes
-- the host, or even the scheme, for a directory then. Parameters are in last segments only, and
-- not behind dots: stock has one set of parameters for the whole path, which ends where they begin.
local url = require "socket.url"
math.randomseed(tonumber(arg[1] or 1), 7)
local random = math.random
local function pick(list) return list[random(#list)] end

local function display(value)
  if type(value) ~= "table" then return tostring(value) end
  local fields = {}
  for k, v in pairs(value) do fields[#fields + 1] = tostring(k) .. "=" .. tostring(v) end
  table.sort(fields)
  return table.concat(fields, " | ")
end

-- Whether a query or fragment follows the authority, which it belongs to in stock. In a password
-- "?" and "#" are what they are for stock.
local function odd(text)
  local authority = text:gsub("^%w[%w+.-]*:", "", 1):match "^//([^/]*)"
  return authority and authority:find "[?#]" and not authority:find "^[^?#@:]*:[^%d?#@][^@]*@[^?#]*$"
end

print "== parse and build"
local alphabet = {
  ":", "/", "//", "@", "?", "#", ";", "[", "]", "%", "%41", ".", "..", "a", "b", "h", "1", " ", "+", "-",
  "http:", "\\", "=", "&", "~",
}
for _ = 1, 4000 do
  local parts = {}
  for i = 1, random(0, 9) do parts[i] = pick(alphabet) end
  local text = table.concat(parts)
  local default = random(3) == 1 and { scheme = "s", host = "d", path = "/p", user = "u" } or nil
  if not odd(text) then
    local parsed, err = url.parse(text, default)
    print(text, display(parsed), err, parsed and url.build(parsed))
  end
  local segments = url.parse_path(text)
  print(display(segments), url.build_path(segments), url.build_path(segments, true))
  print(url.escape(text), url.unescape(text), url.unescape(url.escape(text)) == text)
end

print "== escape all bytes"
for byte = 0, 255 do
  local char = string.char(byte)
  print(byte, url.escape(char), url.build_path { char })
end

local segments = { "a", "b", "..", ".", "", "c.", "..d", "...", "x=y", "%2e", "gh" }
local function path(absolute, list)
  local parts = {}
  for i = 1, random(0, 6) do parts[i] = pick(list or segments) end
  return (absolute and "/" or "") .. table.concat(parts, "/")
end
local function tail()
  return (random() < .3 and ";p" or "") .. (random() < .3 and "?q" or "") .. (random() < .3 and "#f" or "")
end
-- As deep as it is high: how far a path climbs above where it began.
local function climbs(text)
  local depth, lowest = 0, 0
  for segment in text:gmatch("[^/]+") do
    if segment == ".." then depth = depth - 1 elseif segment ~= "." then depth = depth + 1 end
    lowest = math.min(lowest, depth)
  end
  return lowest < 0
end
-- Whether a dot segment is followed by parameters, a query or a fragment.
local function tailed(text) return text:find "/%.%.?[;?#]" or text:find "^%.%.?[;?#]" end
print "== absolute"
for _ = 1, 6000 do
  local base = pick { "http://h", "http://u:p@h:8", "//h", "ftp://[::1]" } .. path(true) .. tail()
  local relative = path(random() < .4) .. tail()
  if random(10) == 1 then relative = pick { "http://k", "//k", "ftp://k:9" } .. path(true) .. tail() end
  local where = base:match("//[^/]*(.*)$") or ""
  local other = relative:match("^%a*:?//k[^/]*(.*)$")
  local rooted = other or (relative:sub(1, 1) == "/" and "" or where:match("^[^;?#]*/") or "/") .. relative
  local plain = other or not relative:find "^//" -- not an accidental host
  if plain and not (climbs(where) or climbs(rooted) or tailed(where .. relative) or tailed(relative)) then
    print(base, relative, url.absolute(base, relative))
  end
end

print "== absolute, table as base"
local parsed = url.parse("http://u:p@h:8/a/b;c?d#e")
for _, relative in ipairs { "", "x", "/x", "?x", ";x", "#x", "../x", "//k/x", "g:x" } do
  print(relative, url.absolute(parsed, relative))
end
