---@meta xpio
-- xpio: descriptors without buffers, task queues that the program pumps itself, and child processes.
--
-- Where nothing else is said, functions answer true, or nil and a message. The message is "retry" when trying
-- again later will help. Functions without `try_` suspend the running coroutine instead: by the current task
-- (see `setCurrentTask`), or in a thread of Copas like a socket of Copas.

---@alias xpio.address string "192.168.1.1:80"; also "127.0.0.1", ":80", "2130706433:80", "[::1]:80", "unix:/path", "unix:@name"
---@alias xpio.option "TCP_NODELAY"|"SO_KEEPALIVE"|"SO_REUSEADDR"|"SO_RCVBUF"|"SO_SNDBUF"|"O_NONBLOCK"|"SO_BROADCAST"|"SO_REUSEPORT"|"IPV6_V6ONLY"
---@alias xpio.end "exit"|"signal"

---@class xpio
---@field env table<string, string> the environment of the process when the module was loaded
local xpio = {}

---What waits in a task queue: any table with a field `_queue`.
---@class xpio.task
---@field _queue xpio.tqueue where a when function puts the task
---@field _dequeue? fun(task: xpio.task) takes it out again; nil while it does not wait
---@field _dequeuedata? any what `_dequeue` needs

---A TCP or UDP socket that does not block. It is one of IPv4 until it is bound or connected to another address.
---@param type "TCP"|"UDP"
---@return xpio.socket?
---@return string? err
function xpio.socket(type) end

---Two connected stream sockets.
---@return xpio.socket?
---@return xpio.socket|string peer_or_err
function xpio.socketpair() end

---A pipe: what is written to the second can be read from the first.
---@return xpio.socket? read
---@return xpio.socket|string write_or_err
function xpio.pipe() end

---An object with a duplicate of an open descriptor, whose blocking mode stays as it is.
---@param descriptor integer
---@return xpio.socket?
---@return string? err
function xpio.fdopen(descriptor) end

---A new task queue.
---@return xpio.tqueue?
---@return string? err
function xpio.tqueue() end

---@class xpio.attributes
---@field exe? string the program, instead of the first argument
---@field cwd? string the working directory; a relative program is looked for there
---@field pgroup? true|xpio.process a process group of its own, or that of this process
---@field umask? integer|string a number, or octal digits like "022"
---@field setsid? boolean a session of its own

---Starts a program. A name without "/" is searched for in PATH. The child has the descriptors that `files` names
---and no others, and its signals at their defaults; objects among them are closed in this process.
---@param args string[] what the program finds in argv, from argv[0]
---@param env table<string, string> names and values
---@param files table<integer, xpio.socket|integer> by the numbers in the child
---@param attrs? xpio.attributes
---@return xpio.process?
---@return string? err
function xpio.spawn(args, env, files, attrs) end

---Seconds since some point, never going backwards.
---@return number
function xpio.gettime() end

---From now on blocking functions schedule this task before they suspend the running coroutine.
---@param task? xpio.task
function xpio.setCurrentTask(task) end

---@return xpio.task?
function xpio.getCurrentTask() end

---------------------------------------------------------------- task queues

---@class xpio.tqueue
local tqueue = {}

---Waits until tasks are ready, or for so many seconds. Ready tasks have left the queue. In a thread of
---Copas it stops the others, too: there blocking functions need no queue.
---@param timeout? number|false for ever, if it is not given
---@return xpio.task[]? tasks nil if there is nothing to wait for
function tqueue:wait(timeout) end

---@return boolean
function tqueue:isEmpty() end

---------------------------------------------------------------- sockets, pipes, other descriptors

---@class xpio.socket
local socket = {}

---@param address xpio.address
---@return true?
---@return string? err
function socket:bind(address) end

---@param backlog? integer connections that wait to be accepted
---@return true?
---@return string? err
function socket:listen(backlog) end

---@param address xpio.address
---@return true?
---@return string? err
function socket:connect(address) end

---@param address xpio.address
---@return true?
---@return string? err
function socket:try_connect(address) end

---@return xpio.socket?
---@return string? err
function socket:accept() end

---@return xpio.socket?
---@return string? err
function socket:try_accept() end

---@return xpio.address?
---@return string? err
function socket:getsockname() end

---@return xpio.address?
---@return string? err
function socket:getpeername() end

---@return true?
---@return string? err
function socket:close() end

---What is there, up to `size` bytes; nil at the end.
---@param size number
---@return string?
---@return string? err
function socket:read(size) end

---@param size number
---@return string?
---@return string? err
function socket:try_read(size) end

---Writes all of it.
---@param data string|number
---@return integer? count
---@return string? err
function socket:write(data) end

---Writes as much as there is room for.
---@param data string|number
---@return integer? count
---@return string? err
function socket:try_write(data) end

---A datagram and its sender.
---@param size number
---@return string?
---@return (xpio.address|string)? sender_or_err nil if the sender has no address
function socket:recvfrom(size) end

---@param size number
---@return string?
---@return (xpio.address|string)? sender_or_err nil if the sender has no address
function socket:try_recvfrom(size) end

---@param data string|number
---@param address xpio.address
---@return integer? count
---@return string? err
function socket:sendto(data, address) end

---@param data string|number
---@param address xpio.address
---@return integer? count
---@return string? err
function socket:try_sendto(data, address) end

---The task is ready when there is something to read, or to accept.
---@param task xpio.task
function socket:when_read(task) end

---The task is ready when there is room to write, or the connection is there or has failed.
---@param task xpio.task
function socket:when_write(task) end

---@param option xpio.option
---@return boolean|integer?
---@return string? err
function socket:getsockopt(option) end

---@param option xpio.option
---@param value any
---@return true?
---@return string? err
function socket:setsockopt(option, value) end

---Ends reading, writing, or both.
---@param what string contains "r", "w", or both
---@return true?
---@return string? err
function socket:shutdown(what) end

---The number of the descriptor; -1 when it is closed.
---@return integer
function socket:fileno() end

---------------------------------------------------------------- processes

---@class xpio.process
local process = {}

---How it has ended: the exit status, or the signal. It can be asked for as often as one likes.
---@return xpio.end?
---@return integer|string status_or_err
function process:wait() end

---@return xpio.end?
---@return integer|string status_or_err
function process:try_wait() end

---The task is ready when the process has ended.
---@param task xpio.task
function process:when_wait(task) end

---Sends a signal; SIGKILL if none is given.
---@param signal? integer|string a number, or a name like "TERM"
---@return true?
---@return string? err
function process:kill(signal) end

---@return integer
function process:pid() end

return xpio
