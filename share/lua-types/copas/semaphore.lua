---@meta copas.semaphore
-- copas.semaphore: a number of resources that threads share.

---@class copas.semaphore
local semaphore = {}

---@param max integer of resources
---@param start? integer how many are there at first; 0 if not given
---@param seconds? number how long `take` waits; `math.huge` for ever, 10 if not given
---@return copas.semaphore
function semaphore.new(max, start, seconds) end

---@param given? integer 1 if not given
---@return boolean? ok
---@return string? err "too many"
function semaphore:give(given) end

---@param wanted? integer 1 if not given
---@param seconds? number instead of the semaphore's own
---@return boolean? ok
---@return string? err "timeout", "destroyed", "too many"
function semaphore:take(wanted, seconds) end

---How many are there.
---@return integer
function semaphore:get_count() end

---How many resources the waiting threads want.
---@return integer
function semaphore:get_wait() end

---Threads that wait get "destroyed".
---@return boolean
function semaphore:destroy() end

return semaphore
