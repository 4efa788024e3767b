---@meta socket.url
-- socket.url: URLs taken apart, put together and resolved.

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

---@class socket.url.segments: string[]
---@field is_absolute? integer
---@field is_directory? integer

---@class socket.url
---@field _VERSION string
local url = {}

---The absolute URL that a relative one means on a page at `base`.
---@param base string|socket.url.parsed
---@param relative? string
---@return string
function url.absolute(base, relative) end

---Puts the parts of a URL together. The smaller parts win over those they are part of.
---@param parsed socket.url.parsed
---@return string
function url.build(parsed) end

---Joins segments to a path.
---@param segments socket.url.segments
---@param unsafe? any if true, segments are not escaped
---@return string
function url.build_path(segments, unsafe) end

---Every byte that is not a letter, a digit or `_` becomes `%xx`.
---@param content string
---@return string
function url.escape(content) end

---Takes a URL apart.
---@param text string
---@param default? socket.url.parsed where the parts come from that the URL does not have
---@return socket.url.parsed?
---@return string? err
function url.parse(text, default) end

---Splits a path into its unescaped segments.
---@param path? string
---@return socket.url.segments
function url.parse_path(path) end

---The opposite of `escape`.
---@param content string
---@return string
function url.unescape(content) end

return url
