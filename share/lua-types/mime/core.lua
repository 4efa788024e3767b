---@meta mime.core
-- mime.core: the low-level filters alone; `mime` is the same table with all filters.

---@type mime
local core = {}

return core
