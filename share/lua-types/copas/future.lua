---@meta copas.future
-- copas.future: the results of a thread, when it has them.

---@class copas.future.module
---@field PENDING boolean
---@field SUCCESS boolean
---@field ERROR string
local future = {}

---@param f fun(...): ...
---@return copas.future
function future.addthread(f, ...) end

---@param name string
---@param f fun(...): ...
---@return copas.future
function future.addnamedthread(name, f, ...) end

---@class copas.future
---@overload fun(): boolean, ...
local object = {}

---Waits for the results.
---@return boolean ok, any ...
function object:get() end

---The results, if they are there.
---@return boolean|string status, any ...
function object:try() end

---Ends the thread.
---@return boolean
function object:cancel() end

return future
