---@meta socket.serial
-- socket.serial: serial lines and other devices, as streams.

---Opens a device.
---@param path string
---@return socket.serial.client?
---@return string? err
local function serial(path) end

---@class socket.serial.client: socket.stream
local client = {}
---@param pattern? socket.pattern
---@param prefix? string
---@return string?
---@return string? err
---@return string? partial
function client:receive(pattern, prefix) end
---@param data string
---@param i? integer
---@param j? integer
---@return integer?
---@return string? err
---@return integer? partial
function client:send(data, i, j) end

return serial
