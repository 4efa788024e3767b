---@meta copas.queue
-- copas.queue: items that threads hand to other threads.

---@class copas.queue
---@field name string
local queue = {}

---@param options? { name?: string }
---@return copas.queue
function queue:new(options) end

---@param item any but nil
---@return boolean? ok
---@return string? err "closing", "destroyed"
function queue:push(item) end

---@param seconds? number `math.huge` for ever, 10 if not given
---@return any item
---@return string? err "timeout", "destroyed"
function queue:pop(seconds) end

---@return integer
function queue:get_size() end

---A thread that calls `worker` with each item.
---@param worker fun(item: any)
---@return thread
function queue:add_worker(worker) end

---@return table<thread, boolean>
function queue:get_workers() end

---Takes no more items; the queue ends when it is empty.
---@return boolean? ok
---@return string? err
function queue:stop() end

---Stops, and waits until the queue is empty.
---@param seconds? number
---@param no_destroy_on_timeout? boolean
---@return boolean? ok
---@return string? err
function queue:finish(seconds, no_destroy_on_timeout) end

---Drops all items; threads that wait get "destroyed".
---@return boolean? ok
---@return string? err
function queue:destroy() end

return queue
