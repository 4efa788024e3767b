---@meta socket.unix
-- socket.unix: sockets in the local domain. A path that begins with "\0" is abstract (Linux).
-- The module can be called like `stream`.

---@class socket.unix
---@overload fun(): socket.unix.master?, string?
local unix = {}

---@return socket.unix.master?
---@return string? err
function unix.stream() end
---@return socket.unix.master?
---@return string? err
function unix.tcp() end
---@return socket.unix.dgram?
---@return string? err
function unix.dgram() end
---@return socket.unix.dgram?
---@return string? err
function unix.udp() end

---@class socket.unix.master: socket.stream
local master = {}
---@param path string
---@return integer?
---@return string? err
function master:bind(path) end
---@param path string
---@return integer?
---@return string? err
function master:connect(path) end
master.setsockname = master.bind
master.setpeername = master.connect
---@param backlog? integer
---@return integer?
---@return string? err
function master:listen(backlog) end
---@return socket.tcp.client?
---@return string? err
function master:accept() end
---@param pattern? socket.pattern
---@param prefix? string
---@return string?
---@return string? err
---@return string? partial
function master:receive(pattern, prefix) end
---@param data string
---@param i? integer
---@param j? integer
---@return integer?
---@return string? err
---@return integer? partial
function master:send(data, i, j) end
---@param mode? "both"|"send"|"receive"
---@return integer
function master:shutdown(mode) end

---@class socket.unix.dgram: socket.object
local dgram = {}
---@param path string
---@return integer?
---@return string? err
function dgram:bind(path) end
---@param path string
---@return integer?
---@return string? err
function dgram:connect(path) end
dgram.setsockname = dgram.bind
dgram.setpeername = dgram.connect
---@param datagram string
---@return integer?
---@return string? err
function dgram:send(datagram) end
---@param datagram string
---@param path string
---@return integer?
---@return string? err
function dgram:sendto(datagram, path) end
---@param size? integer
---@return string?
---@return string? err
function dgram:receive(size) end
---@param size? integer
---@return string?
---@return string path or the error
function dgram:receivefrom(size) end

return unix
