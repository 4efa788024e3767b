-- socket.url: URLs taken apart, put together and resolved (RFC 3986, with LuaSocket's parameters).
--
--   <url>       ::= [<scheme>:][//<authority>][/<path>][;<params>][?<query>][#<fragment>]
--   <authority> ::= [<user>[:<password>]@]<host>[:<port>]

local url = { _VERSION = "URL 1.0.3" }

---@class socket.url.parsed
---@field url? string
---@field scheme? string
---@field authority? string
---@field path? string
---@field params? string
---@field query? string
---@field fragment? string
---@field userinfo? string
---@field host? string
---@field port? string|integer
---@field user? string
---@field password? string

-- Characters that may stand for themselves in a path segment.
local SEGMENT_UNSAFE = "[^%w%-_.!~*'():@&=+$,]"

local function percent(char)
  return ("%%%02x"):format(char:byte())
end

local function PERCENT(char)
  return ("%%%02X"):format(char:byte())
end

---Every byte that is not a letter, a digit or `_` becomes `%xx`.
---@param content string
---@return string
function url.escape(content)
  return (string.gsub(content, "[^%w_]", percent))
end

---The opposite of `escape`.
---@param content string
---@return string
function url.unescape(content)
  return (string.gsub(content, "%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

---------------------------------------------------------------- taking apart

-- Moves user, password, host and port from the authority to their own fields.
local function parseauthority(authority, parsed)
  local userinfo, rest = authority:match("^([^@]*)@(.*)$")
  parsed.userinfo = userinfo or parsed.userinfo
  rest = rest or authority
  local host, port = rest:match("^(.*):([^:%]]*)$")
  parsed.port = port or parsed.port
  host = host or rest
  if host ~= "" then parsed.host = host:match("^%[(.+)%]$") or host end
  if not parsed.userinfo then return end
  local user, password = parsed.userinfo:match("^(.*):([^:]*)$")
  parsed.user = user or parsed.userinfo
  parsed.password = password or parsed.password
end

local WITHOUT_PASSWORD, WITH_PASSWORD = "^//([^/?#]*)(.*)$", "^//([^/?#@:[]*:[^/@]*@[^/?#]*)(.*)$"

-- Whether the authority at the start of the text has a password, in which "?" and "#" may be:
-- LuaSocket's tests have those. Behind a port they end the authority, as they do everywhere else.
local function haspassword(text)
  local password = text:match("^//[^/?#@:[]*:([^/@]*)@")
  return password and not password:find("^%d*[?#]")
end

---Takes a URL apart.
---@param text string
---@param default? socket.url.parsed where the parts come from that the URL does not have
---@return socket.url.parsed?
---@return string? err
function url.parse(text, default)
  local parsed = {}
  for field, value in pairs(default or parsed) do parsed[field] = value end
  if not text or text == "" then return nil, "invalid url" end

  local rest = tostring(text)
  -- Cuts what the pattern captures first off the rest, which it captures second.
  local function cut(pattern, field)
    local value, after = rest:match(pattern)
    if value then parsed[field], rest = value, after end
  end
  local function cutend(mark, field)
    local before, value = rest:match("^(.-)" .. mark .. "(.*)$")
    if before then parsed[field], rest = value, before end
  end

  cut("^(%w[%w+.-]*):(.*)$", "scheme")
  cut(haspassword(rest) and WITH_PASSWORD or WITHOUT_PASSWORD, "authority")
  cutend("#", "fragment")
  cutend("%?", "query")
  cutend(";", "params")
  if rest ~= "" then parsed.path = rest end
  if parsed.authority then parseauthority(parsed.authority, parsed) end
  return parsed
end

---------------------------------------------------------------- putting together

-- The authority of the parts: host, port and user information go before `authority`.
local function buildauthority(parsed)
  local host = parsed.host
  if not host then return parsed.authority end
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  local userinfo = parsed.userinfo
  if parsed.user then
    userinfo = parsed.user .. (parsed.password and ":" .. parsed.password or "")
  end
  return (userinfo and userinfo .. "@" or "") .. host .. (parsed.port and ":" .. parsed.port or "")
end

---Puts the parts of a URL together.
---@param parsed socket.url.parsed
---@return string
function url.build(parsed)
  local path = parsed.path or ""
  local authority = buildauthority(parsed)
  return (parsed.scheme and parsed.scheme .. ":" or "")
    .. (authority and "//" .. authority or "")
    .. path
    .. (parsed.params and ";" .. parsed.params or "")
    .. (parsed.query and "?" .. parsed.query or "")
    .. (parsed.fragment and "#" .. parsed.fragment or "")
end

---------------------------------------------------------------- paths

---@class socket.url.segments: string[]
---@field is_absolute? integer
---@field is_directory? integer

---Splits a path into its unescaped segments.
---@param path? string
---@return socket.url.segments
function url.parse_path(path)
  path = tostring(path or "")
  local segments = {}
  for segment in path:gmatch("[^/]+") do segments[#segments + 1] = url.unescape(segment) end
  if path:sub(1, 1) == "/" then segments.is_absolute = 1 end
  if path:sub(-1) == "/" then segments.is_directory = 1 end
  return segments
end

---Joins segments to a path.
---@param segments socket.url.segments
---@param unsafe? any if true, segments are not escaped
---@return string
function url.build_path(segments, unsafe)
  local parts = {}
  for index, segment in ipairs(segments) do
    parts[index] = unsafe and segment or string.gsub(segment, SEGMENT_UNSAFE, PERCENT)
  end
  local path = table.concat(parts, "/")
  if segments.is_directory and #parts > 0 then path = path .. "/" end
  if segments.is_absolute then path = "/" .. path end
  return path
end

---------------------------------------------------------------- resolving

-- Removes the segments "." and ".." from a path, as RFC 3986 says (5.2.4). The root has nothing
-- above it.
local function removedots(path)
  local start = 1
  while path:find("^%.%.?/", start) do start = path:find("/", start, true) + 1 end
  local first, rest = path:match("^([^/]*)(.*)$", start)
  local kept, last = { first }, first
  for segment in rest:gmatch("/([^/]*)") do
    last = segment
    if segment == ".." then
      if #kept > 1 then
        kept[#kept] = nil
      else
        kept[1] = "" -- the rest of the path begins with a slash, as in the RFC
      end
    elseif segment ~= "." then
      kept[#kept + 1] = segment
    end
  end
  if last == first and (last == "." or last == "..") then return "" end
  if last == "." or last == ".." then kept[#kept + 1] = "" end
  return table.concat(kept, "/")
end

-- The same for a path that stays relative: it may begin with "." or with any number of "..".
local function shortened(path)
  local kept, last = {}, nil
  for segment in path:gmatch("[^/]*") do
    last = segment
    local before = kept[#kept]
    if segment == ".." and before and before ~= ".." and (#kept > 1 or before ~= ".") then
      kept[#kept] = nil
    elseif segment ~= "." or #kept == 0 then
      kept[#kept + 1] = segment
    end
  end
  if (last == "." or last == "..") and kept[#kept] ~= last then kept[#kept + 1] = "" end
  return table.concat(kept, "/")
end

-- The path of these parts. What is called parameters here belongs to it.
local function wholepath(parts)
  if not parts.path and not parts.params then return nil end
  return (parts.path or "") .. (parts.params and ";" .. parts.params or "")
end

-- The directory that relative paths of a URL with these parts begin in.
local function directory(parts)
  local path = wholepath(parts)
  if path then return path:match("^.*/") or "" end
  return (parts.authority or parts.host) and "/" or ""
end

-- The URL of these parts without "." and ".." in its path.
local function buildnormal(parts)
  local path = wholepath(parts)
  if path then
    local isrelative = not parts.scheme and not parts.authority and path:sub(1, 1) ~= "/"
    path = isrelative and shortened(path) or removedots(path)
    -- What was a path must not become an authority.
    if not parts.authority and path:sub(1, 2) == "//" then path = "/." .. path end
  end
  return url.build {
    scheme = parts.scheme, authority = parts.authority, path = path,
    query = parts.query, fragment = parts.fragment,
  }
end

-- LuaSocket removes dots from queries and fragments, too, and its tests have two such cases:
-- "g?y/./x" is "g?y/x", "g#s/./x" is "g#s/x". Their base has a fragment, which no base has in the
-- RFC. So bases with fragments keep this.
local function withoutdots(text)
  return text and removedots("/" .. text):sub(2)
end

-- The parts of a reference that has neither scheme nor authority, on a page with these parts.
local function merge(from, to)
  if not to.path and not to.params then
    to.path, to.params = from.path, from.params
    to.query = to.query or from.query
  elseif not to.path then
    to.path = from.path -- ";x" changes the parameters alone, as in LuaSocket's tests
  elseif to.path:sub(1, 1) ~= "/" then
    to.path = directory(from) .. to.path
  end
end

---The absolute URL that a relative one means on a page at `base`.
---@param base string|socket.url.parsed
---@param relative? string
---@return string
function url.absolute(base, relative)
  local from = type(base) == "table" and base or url.parse(base) or {}
  local authority = buildauthority(from)
  local to = url.parse(relative) or { fragment = from.fragment }
  if to.scheme or to.authority then
    to.scheme = to.scheme or from.scheme
    return buildnormal(to)
  end
  if from.fragment then
    to.query, to.fragment = withoutdots(to.query), withoutdots(to.fragment)
  end
  to.scheme, to.authority = from.scheme, authority
  merge(from, to)
  return buildnormal(to)
end

require("socket").url = url
return url
