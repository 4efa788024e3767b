---@meta copas.lock
-- copas.lock: one thread at a time.

---@class copas.lock
local lock = {}

---@param seconds? number how long `get` waits; `math.huge` for ever, 10 if not given
---@param not_reentrant? boolean its owner cannot get it again
---@return copas.lock
function lock.new(seconds, not_reentrant) end

---@param seconds? number instead of the lock's own
---@return number? waited seconds; nil on failure
---@return string? err "timeout", "destroyed"
---@return number? waited
function lock:get(seconds) end

---@return boolean? ok
---@return string? err
function lock:release() end

---Threads that wait get "destroyed".
---@return boolean
function lock:destroy() end

return lock
