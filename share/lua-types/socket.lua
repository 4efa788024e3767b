---@meta socket
-- socket: TCP and UDP sockets, waiting for them, and errors as values.
--
-- Where nothing else is said, methods answer a true value, or nil and a message.

---@alias socket.family "inet"|"inet6"
---@alias socket.pattern "*l"|"*a"|integer

---@class socket
---@field _VERSION string
---@field _DEBUG? boolean true if send and receive also return the seconds they took
---@field _SETSIZE integer
---@field _DATAGRAMSIZE integer what UDP receives if no size is given
---@field _SOCKETINVALID integer
---@field BLOCKSIZE integer what sources receive at once
---@field dns socket.dns
---@field ftp? socket.ftp the modules, when they are loaded
---@field headers? socket.headers
---@field http? socket.http
---@field smtp? socket.smtp
---@field tp? socket.tp
---@field url? socket.url
---@field sinkt table<string, fun(sock: table): ltn12.sink> the factories behind `sink`
---@field sourcet table<string, fun(sock: table, length?: integer): ltn12.source> the factories behind `source`
local socket = {}

---------------------------------------------------------------- creating sockets

---A TCP socket whose family is chosen by the first address it is used with.
---@return socket.tcp.master?
---@return string? err
function socket.tcp() end

---An IPv4 TCP socket.
---@return socket.tcp.master?
---@return string? err
function socket.tcp4() end

---An IPv6 TCP socket.
---@return socket.tcp.master?
---@return string? err
function socket.tcp6() end

---A UDP socket whose family is chosen by the first address it is used with.
---@return socket.udp.unconnected?
---@return string? err
function socket.udp() end

---An IPv4 UDP socket.
---@return socket.udp.unconnected?
---@return string? err
function socket.udp4() end

---An IPv6 UDP socket.
---@return socket.udp.unconnected?
---@return string? err
function socket.udp6() end

---A TCP server that listens at an address ("*" for all), with `reuseaddr` set.
---@param address string
---@param port integer|string 0 for any free one
---@param backlog? integer 32 if not given
---@return socket.tcp.server?
---@return string? err
function socket.bind(address, port, backlog) end

---A TCP client connected to an address.
---@param address string
---@param port integer|string
---@param locaddr? string
---@param locport? integer|string
---@param family? socket.family
---@return socket.tcp.client?
---@return string? err
function socket.connect(address, port, locaddr, locport, family) end

---`connect` over IPv4.
---@param address string
---@param port integer|string
---@param locaddr? string
---@param locport? integer|string
---@return socket.tcp.client?
---@return string? err
function socket.connect4(address, port, locaddr, locport) end

---`connect` over IPv6.
---@param address string
---@param port integer|string
---@param locaddr? string
---@param locport? integer|string
---@return socket.tcp.client?
---@return string? err
function socket.connect6(address, port, locaddr, locport) end

---------------------------------------------------------------- waiting, time

---Waits until sockets can be read or written. Other objects with `getfd` and `dirty` will do.
---@param readers? table[]
---@param writers? table[]
---@param timeout? number seconds; forever if not given or negative
---@return table readable the sockets, at 1, 2, ... and as keys
---@return table writable
---@return string? err "timeout", "select failed"
function socket.select(readers, writers, timeout) end

---Does nothing for some seconds.
---@param seconds number
function socket.sleep(seconds) end

---The time in seconds, with fractions.
---@return number
function socket.gettime() end

---------------------------------------------------------------- errors

---Returns its arguments, or throws the second if the first is false or nil.
---@generic T
---@param value? T
---@param ... any
---@return T
---@return any ...
function socket.try(value, ...) end

---A `try` that calls a function before it throws.
---@param finalizer? fun()
---@return fun(value?: any, ...): ...
function socket.newtry(finalizer) end

---A function that returns nil and the error where the other one throws with `try`.
---@generic F: function
---@param func F
---@return F
function socket.protect(func) end

---Returns its arguments without the first `d`.
---@param d integer
---@param ... any
---@return any ...
function socket.skip(d, ...) end

---------------------------------------------------------------- ltn12

---A sink that sends to a stream socket.
---@overload fun(sock: table): ltn12.sink
---@param mode "http-chunked"|"close-when-done"|"keep-open"|string
---@param sock table
---@return ltn12.sink
function socket.sink(mode, sock) end

---A source that receives from a stream socket.
---@overload fun(sock: table): ltn12.source
---@param mode "http-chunked"|"by-length"|"until-closed"|string
---@param sock table
---@param length? integer of "by-length"
---@return ltn12.source
function socket.source(mode, sock, length) end

---A function that calls the function in a table named by its first argument.
---@param factories table<string, function>
---@return function
function socket.choose(factories) end

---------------------------------------------------------------- what all sockets have

---@class socket.object
---@field class string like "tcp{client}"
local object = {}

---Closes the socket.
---@return integer
function object:close() end

---True if received data waits in a buffer.
---@return boolean
function object:dirty() end

---@return socket.family
function object:getfamily() end

---The descriptor, or -1.
---@return integer
function object:getfd() end

---Takes another descriptor. The old one is not closed.
---@param fd integer
function object:setfd(fd) end

---The local address.
---@return string? address
---@return integer|string port
---@return socket.family family
function object:getsockname() end

---Limits the time calls may take.
---@param seconds? number nil or negative: no limit
---@param mode? "b"|"t" each wait (the default), or each call
---@return integer
function object:settimeout(seconds, mode) end

---The limits: of each wait, and of each call.
---@return number block
---@return number total
function object:gettimeout() end

---@param option socket.option
---@return any
---@return string? err
function object:getoption(option) end

---@param option socket.option
---@param value? boolean|integer|string|socket.linger|socket.membership
---@return integer?
---@return string? err
function object:setoption(option, value) end

---@alias socket.option
---| "keepalive"
---| "reuseaddr"
---| "reuseport"
---| "tcp-nodelay"
---| "tcp-keepidle"
---| "tcp-keepcnt"
---| "tcp-keepintvl"
---| "tcp-defer-accept"
---| "tcp-fastopen"
---| "tcp-fastopen-connect"
---| "linger"
---| "recv-buffer-size"
---| "send-buffer-size"
---| "error"
---| "dontroute"
---| "broadcast"
---| "ipv6-v6only"
---| "ip-multicast-if"
---| "ip-multicast-ttl"
---| "ip-multicast-loop"
---| "ip-add-membership"
---| "ip-drop-membership"
---| "ipv6-multicast-hops"
---| "ipv6-multicast-loop"
---| "ipv6-unicast-hops"
---| "ipv6-add-membership"
---| "ipv6-drop-membership"
---| string

---@class socket.linger
---@field on boolean
---@field timeout integer seconds

---@class socket.membership
---@field multiaddr string
---@field interface string|integer

---------------------------------------------------------------- TCP

---@class socket.stream: socket.object
local stream = {}

---Bytes received, bytes sent, seconds since the socket was made.
---@return integer received
---@return integer sent
---@return number age
function stream:getstats() end

---@param received integer
---@param sent integer
---@param age? number
---@return integer
function stream:setstats(received, sent, age) end

---@class socket.tcp.master: socket.stream
local master = {}

---Binds to a local address.
---@param address string "*" for all
---@param port integer|string
---@return integer?
---@return string? err
function master:bind(address, port) end

---Becomes a server.
---@param backlog? integer
---@return integer?
---@return string? err
function master:listen(backlog) end

---Becomes a client.
---@param address string
---@param port integer|string
---@return integer?
---@return string? err
function master:connect(address, port) end
master.setsockname = master.bind
master.setpeername = master.connect

---@class socket.tcp.server: socket.stream
local server = {}

---Waits for a client.
---@return socket.tcp.client?
---@return string? err
function server:accept() end

---@class socket.tcp.client: socket.stream
local client = {}

---The address of the other side.
---@return string? address
---@return integer|string port
---@return socket.family family
function client:getpeername() end

---Receives a line, some bytes, or everything until the connection is closed.
---@param pattern? socket.pattern "*l" if not given
---@param prefix? string put before what is received
---@return string? data
---@return string? err "closed", "timeout", ...
---@return string? partial what came before the error
function client:receive(pattern, prefix) end

---Sends a string, or the bytes of it from `i` to `j`.
---@param data string
---@param i? integer
---@param j? integer
---@return integer? last the index of the last byte sent
---@return string? err
---@return integer? partial the index of the last byte sent before the error
function client:send(data, i, j) end

---Closes one or both directions.
---@param mode? "both"|"send"|"receive"
---@return integer
function client:shutdown(mode) end

---------------------------------------------------------------- UDP

---@class socket.udp: socket.object
local udp = {}

---Receives a datagram; what is longer than `size` is dropped.
---@param size? integer
---@return string?
---@return string? err
function udp:receive(size) end

---@class socket.udp.unconnected: socket.udp
local unconnected = {}

---Receives a datagram and where it is from.
---@param size? integer
---@return string?
---@return string address or the error
---@return integer? port
function unconnected:receivefrom(size) end

---Sends a datagram.
---@param datagram string
---@param address string not a host name
---@param port integer|string
---@return integer?
---@return string? err
function unconnected:sendto(datagram, address, port) end

---Binds to a local address.
---@param address string
---@param port integer|string
---@return integer?
---@return string? err
function unconnected:setsockname(address, port) end

---Becomes connected: sends to, and receives from, this address only.
---@param address string
---@param port integer|string
---@return integer?
---@return string? err
function unconnected:setpeername(address, port) end

---@class socket.udp.connected: socket.udp
local connected = {}

---Sends a datagram.
---@param datagram string
---@return integer?
---@return string? err
function connected:send(datagram) end

---@return string? address
---@return integer|string port
---@return socket.family family
function connected:getpeername() end

---Becomes unconnected again.
---@param any "*"
---@return integer?
---@return string? err
function connected:setpeername(any) end

---------------------------------------------------------------- DNS

---@class socket.dns
local dns = {}

---@class socket.dns.resolved
---@field name string
---@field alias string[]
---@field ip string[]

---The IPv4 address of a host.
---@param host string
---@return string? address
---@return socket.dns.resolved|string details or the error
function dns.toip(host) end

---The name of a host.
---@param address string
---@return string? name
---@return socket.dns.resolved|string details or the error
function dns.tohostname(address) end

---The name of this host.
---@return string
function dns.gethostname() end

---All addresses of a host.
---@param host string
---@return { family: socket.family, addr: string }[]?
---@return string? err
function dns.getaddrinfo(host) end

---The names of a host.
---@param host string
---@return string[]?
---@return string? err
function dns.getnameinfo(host) end

return socket
