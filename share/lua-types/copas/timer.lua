---@meta copas.timer
-- copas.timer: callbacks at a later time.

---@class copas.timer.options
---@field delay number seconds
---@field callback fun(timer: copas.timer, params: any)
---@field recurring? boolean
---@field params? any handed to the callback
---@field initial_delay? number seconds before the first time of a recurring one
---@field name? string
---@field errorhandler? copas.errorhandler

---@class copas.timer
local timer = {}

---@param options copas.timer.options
---@return copas.timer
function timer.new(options) end

---Starts it anew.
---@param initial_delay? number seconds
---@return copas.timer? self
---@return string? err
function timer:arm(initial_delay) end

---@return copas.timer self
function timer:cancel() end

return timer
