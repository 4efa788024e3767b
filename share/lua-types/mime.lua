---@meta mime
-- mime: transfer encodings, line ends and line lengths.

---@class mime
---@field _VERSION string
---@field encodet table<string, fun(...): ltn12.filter> the factories behind `encode`
---@field decodet table<string, fun(...): ltn12.filter> the factories behind `decode`
---@field wrapt table<string, fun(...): ltn12.filter> the factories behind `wrap`
local mime = {}

---A filter that encodes data. "binary" encodes line ends too.
---@overload fun(name: "base64"): ltn12.filter
---@overload fun(name: "quoted-printable", mode?: "text"|"binary"): ltn12.filter
---@param name string
---@param ... any
---@return ltn12.filter
function mime.encode(name, ...) end

---A filter that decodes data.
---@param name "base64"|"quoted-printable"|string
---@param ... any
---@return ltn12.filter
function mime.decode(name, ...) end

---A filter that breaks data into lines.
---@overload fun(length?: integer): ltn12.filter
---@param name "text"|"base64"|"quoted-printable"|string
---@param length? integer of "text" and "base64" lines, 76 if not given
---@return ltn12.filter
function mime.wrap(name, length) end

---A filter that gives all lines the same end.
---@param marker? string CRLF if not given
---@return ltn12.filter
function mime.normalize(marker) end

---A filter that doubles the dots at the beginning of lines, for SMTP.
---@return ltn12.filter
function mime.stuff() end

---Base64 of what can be encoded of `c..d`, and the bytes that are left. Without `d`, of
---everything, padded.
---@param c string
---@param d? string
---@return string? encoded
---@return string? rest
function mime.b64(c, d) end

---The opposite of `b64`.
---@param c string
---@param d? string
---@return string? decoded
---@return string? rest
function mime.unb64(c, d) end

---Quoted-printable of what can be encoded of `c..d`, and the bytes that are left.
---@param c string
---@param d? string
---@param marker? string for line ends, CRLF if not given
---@return string? encoded
---@return string? rest
function mime.qp(c, d, marker) end

---The opposite of `qp`.
---@param c string
---@param d? string
---@return string? decoded
---@return string? rest
function mime.unqp(c, d) end

---Breaks text into lines.
---@param left integer bytes left in the current line
---@param text? string
---@param length? integer 76 if not given
---@return string? broken
---@return integer left bytes left in the last line
function mime.wrp(left, text, length) end

---Breaks quoted-printable text into lines.
---@param left integer bytes left in the current line
---@param text? string
---@param length? integer 76 if not given
---@return string? broken
---@return integer left bytes left in the last line
function mime.qpwrp(left, text, length) end

---Replaces line ends.
---@param candidate integer the last byte before, if it may be part of a line end, or 0
---@param text? string
---@param marker? string CRLF if not given
---@return string? translated
---@return integer candidate
function mime.eol(candidate, text, marker) end

---Doubles dots at the beginning of lines.
---@param seen integer how many bytes of CRLF came before; 2 at the beginning of a message
---@param text? string
---@return string? stuffed
---@return integer seen
function mime.dot(seen, text) end

return mime
