---@meta luatobin
-- luatobin: the serialization of rpc by itself.

---@class luatobin
local luatobin = {}

---@param value any
---@return string
function luatobin.serialize(value) end
---@param text string
---@param count? integer how many values; all unless given
---@param offset? integer where the first one begins; 1
---@return integer offset where the next one begins
---@return any ...
function luatobin.deserialize(text, count, offset) end

return luatobin
