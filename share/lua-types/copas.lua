---@meta copas
-- copas: the dispatcher of coroutines that wait for sockets and for time.

---@alias copas.errorhandler fun(message: any, thread: thread, socket: any)
---@alias copas.address string|integer

---TLS parameters: what LuaSec's `wrap` takes (a table or a context), or both parts.
---@class copas.sslparams
---@field wrap? table parameters, or a context, of LuaSec
---@field sni? { names: string|table, strict?: boolean }

---Names, counts, and times of `copas.status`.
---@class copas.counts
---@field running boolean the dispatcher is at work
---@field read integer threads that wait to read
---@field write integer threads that wait to write
---@field active integer threads whose turn comes
---@field timer integer threads that sleep
---@field inactive integer threads that only `wakeup` gets up
---@field references integer Lua values that Milonga's modules keep: threads, handlers, objects of clients
---@field timeout integer timeouts that are set
---@field steps? integer with statistics: how many, since they were asked for last
---@field duration_avg? number milliseconds of a step, without waiting
---@field duration_max? number
---@field duration_max_ever? number
---@field duration_min? number
---@field duration_min_ever? number
---@field duration_tot? number
---@field time_avg? number milliseconds from step to step
---@field time_start? number seconds
---@field time_end? number
---@field time_tot? number

---@class copas.debug
local debugging = {}

---Tells `logger` of every turn of a thread: resumed, waiting, ended.
---@param logger? fun(...) `print` if not given
---@param core? boolean tells of the callbacks of `copas.timeout`, too
function debugging.start(logger, core) end

---Ends what `start` began.
function debugging.stop() end

---A stand-in for a socket that prints what its methods are called with, and what they return.
---@param socket any
---@return any
function debugging.socket(socket) end

---Reports threads that compute for more than `seconds` in one turn, once in each; nil ends it. Not in the original.
---@param seconds? number
---@param report? fun(name: string, seconds: number, traceback: string) standard error if not given
function debugging.watchdog(seconds, report) end

---@class copas
---@field _VERSION string
---@field _DESCRIPTION string
---@field autoclose boolean whether the socket of a server's handler is closed when the handler ends; true if not set
---@field exittimeout number seconds that a turn may last after SIGINT or SIGTERM before the process ends; 5 if not set, 0 for ever; looked at when the loop begins, and after its first step
---@field running boolean the dispatcher is at work
---@field debug copas.debug
---@field ftp copas.ftp
---@field future copas.future.module
---@field http copas.http
---@field lock copas.lock
---@field queue copas.queue
---@field semaphore copas.semaphore
---@field smtp copas.smtp
---@field timer copas.timer
---@overload fun(initializer?: fun(), timeout?: number)
local copas = {}

---Runs until nothing is left to do.
---@param initializer? fun() becomes a thread
---@param timeout? number seconds of a step at most
---@overload fun(timeout?: number)
function copas.loop(initializer, timeout) end

---Waits once, and gives everybody whom what happened concerns a turn.
---@param timeout? number seconds
---@return boolean handled a socket became ready
function copas.step(timeout) end

---Whether nothing is left to do.
---@return boolean
function copas.finished() end

---Announces the end of the program to all `waitforexit`.
function copas.exit() end

---Whether the end was announced.
---@return boolean
function copas.exiting() end

---Makes the thread wait until the end is announced.
function copas.waitforexit() end

---Drops all threads, timers and servers, for tests.
function copas.cancelall() end

---@param statistics? boolean begins, or ends, to keep statistics of steps
---@return copas.counts
function copas.status(statistics) end

---Serves a listening socket with a thread for each connection, or a datagram socket with one thread.
---@param server any
---@param handler fun(socket: any)
---@param timeout? number seconds that the connections' sockets wait
---@param name? string of the server
function copas.addserver(server, handler, timeout, name) end

---@param server any
---@param keep_open? boolean
---@return any
function copas.removeserver(server, keep_open) end

---A handler for `addserver` that gets its sockets wrapped.
---@param handler fun(socket: copas.socket, ...)
---@param sslparams? copas.sslparams|table|userdata
---@return fun(socket: any, ...)
function copas.handler(handler, sslparams) end

---@param socket any
---@param sslparams? copas.sslparams|table|userdata
---@return copas.socket
function copas.wrap(socket, sslparams) end

---A thread, which runs in the next step.
---@param f fun(...)
---@return thread
function copas.addthread(f, ...) end

---@param name string?
---@param f fun(...)
---@return thread
function copas.addnamedthread(name, f, ...) end

---@param thread thread
function copas.removethread(thread) end

---@param seconds? number 0 if not given: gives others a turn
---@return number seconds that passed
function copas.pause(seconds) end

---Sleeps until `wakeup`.
---@return number seconds that passed
function copas.pauseforever() end

---The older form of `pause`; a negative number is for ever.
---@param seconds? number
function copas.sleep(seconds) end

---@param thread thread
function copas.wakeup(thread) end

---Calls `callback` with the running thread when the time is over. 0 cancels.
---@param seconds number
---@param callback? fun(thread: thread)
---@return boolean
function copas.timeout(seconds, callback) end

---How many timeouts are set.
---@return integer
function copas.gettimeouts() end

---Seconds since 1970, with fractions.
---@return number
function copas.gettime() end

---Sets what is told about errors of the running thread, or of all that have no handler of their own.
---@param handler? copas.errorhandler
---@param default? boolean
function copas.seterrorhandler(handler, default) end
copas.setErrorHandler = copas.seterrorhandler

---@param thread? thread the running one if not given
---@return copas.errorhandler
function copas.geterrorhandler(thread) end

---The report of an error: message, names and traceback.
---@param message any
---@param thread? thread
---@param socket? any
---@return string
function copas.gettraceback(message, thread, socket) end

---@param name string
---@param socket any
function copas.setsocketname(name, socket) end

---@param socket any
---@return string
function copas.getsocketname(socket) end

---@param name string
---@param thread? thread
function copas.setthreadname(name, thread) end

---@param thread? thread
---@return string
function copas.getthreadname(thread) end

---Whether the timeouts of the running thread's sockets have LuaSec's names.
---@param use? boolean
function copas.useSocketTimeoutErrors(use) end

---@param socket any
---@param host string
---@param port copas.address
---@return integer? ok
---@return string? err
function copas.connect(socket, host, port) end

---@param socket any
---@param sslparams? copas.sslparams|table|userdata
---@return any secure
---@return string? err
function copas.dohandshake(socket, sslparams) end

---@param socket any
---@param pattern? string|integer
---@param prefix? string
---@return string? data
---@return string? err
---@return string? partial
function copas.receive(socket, pattern, prefix) end

---@param socket any
---@param size? integer
---@return string? data
---@return string address or error
---@return integer? port
function copas.receivefrom(socket, size) end

---Whatever is there, up to what the pattern asks for.
---@param socket any
---@param pattern? string|integer
---@param prefix? string
---@return string? data
---@return string? err
---@return string? partial
function copas.receivepartial(socket, pattern, prefix) end
copas.receivePartial = copas.receivepartial

---@param socket any
---@param data string
---@param first? integer
---@param last? integer
---@return integer? sent
---@return string? err
---@return integer? last
function copas.send(socket, data, first, last) end

---@param socket any
---@param data string
---@param address string
---@param port integer
---@return integer? ok
---@return string? err
function copas.sendto(socket, data, address, port) end

---@param socket any
---@return any
function copas.close(socket) end

---Does nothing: nothing is held back.
---@param socket any
function copas.flush(socket) end

---@param socket any
---@param seconds? number for everything; negative is for ever
---@return boolean? ok
---@return string? err
function copas.settimeout(socket, seconds) end

---@param socket any
---@param connect? number
---@param send? number
---@param receive? number
---@return boolean? ok
---@return string? err
function copas.settimeouts(socket, connect, send, receive) end

---A socket whose methods make only their own thread wait.
---@class copas.socket
---@field socket any what is wrapped
---@field ssl_params table
local socket = {}

---@return any client
---@return string? err
function socket:accept() end

---@param address string
---@param port copas.address
---@return integer? ok
---@return string? err
function socket:bind(address, port) end

---@return any
function socket:close() end

---@param host string
---@param port copas.address
---@return integer? ok
---@return string? err
function socket:connect(host, port) end

---@param sslparams? copas.sslparams|table|userdata
---@return copas.socket? self
---@return string? err
function socket:dohandshake(sslparams) end

function socket:flush() end

---@return string?
function socket:getalpn() end

---@param option string
---@return any
function socket:getoption(option) end

---@return string? address
---@return integer|string port
---@return string? family
function socket:getpeername() end

---@return string?
function socket:getsniname() end

---@return string? address
---@return integer|string port
---@return string? family
function socket:getsockname() end

---@return integer received
---@return integer sent
---@return number age
function socket:getstats() end

---@param backlog? integer
---@return integer? ok
---@return string? err
function socket:listen(backlog) end

---@param pattern? string|integer
---@param prefix? string
---@return string? data
---@return string? err
---@return string? partial
function socket:receive(pattern, prefix) end

---@param size? integer
---@return string? data
---@return string address or error
---@return integer? port
function socket:receivefrom(size) end

---@param pattern? string|integer
---@param prefix? string
---@return string? data
---@return string? err
---@return string? partial
function socket:receivepartial(pattern, prefix) end

---@param data string
---@param first? integer
---@param last? integer
---@return integer? sent
---@return string? err
---@return integer? last
function socket:send(data, first, last) end

---Of datagram sockets.
---@param data string
---@param address string
---@param port integer
---@return integer? ok
---@return string? err
function socket:sendto(data, address, port) end

---@param option string
---@param value any
---@return integer? ok
---@return string? err
function socket:setoption(option, value) end

---Of datagram sockets.
---@param address string
---@param port? integer
---@return integer? ok
---@return string? err
function socket:setpeername(address, port) end

---Of datagram sockets.
---@param address string
---@param port integer
---@return integer? ok
---@return string? err
function socket:setsockname(address, port) end

---@param received? integer
---@param sent? integer
---@param age? number
---@return integer? ok
function socket:setstats(received, sent, age) end

---@param seconds? number
---@return boolean? ok
---@return string? err
function socket:settimeout(seconds) end

---@param connect? number
---@param send? number
---@param receive? number
---@return boolean? ok
---@return string? err
function socket:settimeouts(connect, send, receive) end

---@param mode? "send"|"receive"|"both"
---@return integer? ok
function socket:shutdown(mode) end

---@param names string|table
---@param strict? boolean
function socket:sni(names, strict) end

return copas
