---@meta socket.headers
-- socket.headers: how field names are written.

---@class socket.headers
---@field canonic table<string, string> names as they are sent, by lowercase name
local headers = {}

return headers
