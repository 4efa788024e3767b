---@meta copas.ftp
-- copas.ftp: socket.ftp whose transfers make only their own thread wait.

---The settings TIMEOUT, USER and PASSWORD are those of `socket.ftp`.
---@class copas.ftp: socket.ftp
local ftp = {}

---Downloads a file. With a table, the first result is 1, and the contents go to the sink.
---@overload fun(transfer: socket.ftp.transfer): integer?, string?
---@param url string
---@return string? contents
---@return string? err
function ftp.get(url) end

---Uploads a file.
---@overload fun(transfer: socket.ftp.transfer): integer?, string?
---@param url string
---@param content string
---@return integer? sent
---@return string? err
function ftp.put(url, content) end

---Sends a command, or several, that transfer no data.
---@param request socket.ftp.transfer
---@return integer?
---@return string? err
function ftp.command(request) end

---The table form of a simple request: with content for `put`, without for `get`, which collects what
---comes in the field `target`.
---@param url string
---@param content? string
---@return socket.ftp.transfer?
---@return string? err
function ftp.parseRequest(url, content) end

return ftp
