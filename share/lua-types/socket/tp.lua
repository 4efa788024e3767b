---@meta socket.tp
-- socket.tp: command lines and replies with a three-digit code.

---@class socket.tp
---@field TIMEOUT? number
local tp = {}

---Connects to a server.
---@param host string
---@param port integer|string
---@param timeout? number
---@param create? fun(): table?, string?
---@return socket.tp.connection?
---@return string? err
function tp.connect(host, port, timeout, create) end

---@class socket.tp.connection
---@field c table the socket
local connection = {}
---Reads a reply and compares its code with a number, a pattern or a list of these.
---@param expected integer|string|(integer|string)[]|fun(code: integer, reply: string): ...
---@return any code
---@return string reply
function connection:check(expected) end
---@param command string
---@param argument? string|number
---@return integer?
---@return string? err
function connection:command(command, argument) end
---@param snk ltn12.sink
---@param pattern any
function connection:sink(snk, pattern) end
---@param src ltn12.source
---@param step? ltn12.step
---@return any
---@return string? err
function connection:source(src, step) end
function connection:send(data) end
function connection:receive(pattern) end
---@return table
function connection:getcontrol() end
---@return integer
function connection:getfd() end
---@return boolean
function connection:dirty() end
function connection:getpeername() end
function connection:getsockname() end
---@return integer
function connection:close() end

return tp
