-- mime: filters that encode, decode and format text, made of the functions of mime.core.

local mime = require "mime.core"
local cycle = require("ltn12").filter.cycle
local choose = require "socket.choose"

local LINE = 76 -- characters in a line of encoded text, as RFC 2045 has it

-- Filters by name. Programs may add their own.
local encodet, decodet, wrapt = {}, {}, {}
mime.encodet, mime.decodet, mime.wrapt = encodet, decodet, wrapt

---A filter that encodes data.
---@type fun(name: "base64"|"quoted-printable"|string, mode?: "text"|"binary"): ltn12.filter
mime.encode = choose(encodet)

---A filter that decodes data.
---@type fun(name: "base64"|"quoted-printable"|string): ltn12.filter
mime.decode = choose(decodet)

---A filter that breaks data into lines.
---@type fun(name?: string|integer, length?: integer): ltn12.filter
mime.wrap = choose(wrapt)

function encodet.base64() return cycle(mime.b64, "") end

function decodet.base64() return cycle(mime.unb64, "") end

-- In binary data CRLF is two bytes like any others, not the end of a line.
encodet["quoted-printable"] = function(mode)
  if mode == "binary" then return cycle(mime.qp, "", "=0D=0A") end
  return cycle(mime.qp, "", "\r\n")
end

decodet["quoted-printable"] = function() return cycle(mime.unqp, "") end

wrapt["quoted-printable"] = function() return cycle(mime.qpwrp, LINE, LINE) end

local function wraptext(length)
  length = length or LINE
  return cycle(mime.wrp, length, length) -- first what is left of the line
end
for _, name in ipairs { "base64", "default", "text" } do wrapt[name] = wraptext end

---A filter that gives all lines the same end.
---@param marker? string CRLF if not given
---@return ltn12.filter
function mime.normalize(marker) return cycle(mime.eol, 0, marker) end

---A filter that doubles the dots at the beginning of lines, for SMTP.
---@return ltn12.filter
function mime.stuff() return cycle(mime.dot, 2) end -- as if CRLF had gone before

return mime
