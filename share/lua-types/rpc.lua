---@meta rpc
-- rpc: Lua RPC. Peers that call each other over one connection.

---@class rpc
local rpc = {}

---What a peer offers to the other side, and what that may cost.
---@class rpc.config
---what the other side may call and read; `_G` when the other side is this machine
---@field functab? table
---which of `call`, `eval` and `newexec` it may use; without `newexec` when `functab` is given
---@field allow? string[]|table<string, boolean>
---the globals of code that arrives; `functab` unless given
---@field env? table
---virtual machine instructions of each run of such code; functions of Lua's libraries count what they do
---@field instruction_limit? integer
---seconds that each run of such code may take
---@field time_limit? number
---bytes that each run of such code may take
---@field memory_limit? integer
---loads bytecode, which can do anything to the process
---@field accept_bytecode? boolean
---sends functions without source text as bytecode
---@field send_bytecode? boolean
---offers `_G` to everybody
---@field insecure? boolean
---is asked about each connection before it is used; may wait. With TLS `skt` is LuaSec's object
---@field authorize? fun(host: string, port: integer, skt: socket.tcp.client|userdata): boolean?
---@field sslparams? table|userdata parameters of LuaSec, or a context
---seconds that a TLS handshake may take; 10
---@field ssl_timeout? number
---what becomes of functions that wait when the other side leaves; 'finish'
---@field on_disconnect? 'finish'|'cancel'
---seconds that connecting, and each call, may take
---@field timeout? number
---seconds without a byte in the middle of a message after which a connection is given up; 60
---@field stall_timeout? number
---@field max_frame_bytes? integer 16 MiB
---@field max_depth? integer 200
---@field max_values? integer 1,000,000
---@field max_references? integer objects and scripts held for one connection; 10,000
---@field max_unsent_bytes? integer for a peer that does not read; 64 MiB
---@field max_buffered_bytes? integer what all peers may make the process hold; 256 MiB

---Waits for one peer, and closes the listener.
---@param address? string `localhost`
---@param port? integer 1999
---@param config? rpc.config
---@return rpc.peer?
---@return string? err
function rpc.newserver(address, port, config) end
---Serves all who come, in the dispatcher of Copas.
---@param address? string `localhost`
---@param port? integer 1999
---@param config? rpc.config
---@return socket.tcp.server?
---@return string? err
function rpc.newserveronly(address, port, config) end
rpc.newmultiserver = rpc.newserveronly
---@param address? string `localhost`
---@param port? integer 1999
---@param config? rpc.config
---@return rpc.peer?
---@return string? err
function rpc.newclient(address, port, config) end
---Makes a peer of a connected socket.
---@param skt socket.tcp.client|table
---@param config? rpc.config
---@return rpc.peer
function rpc.newsession(skt, config) end
---Declares which results of a function, or of a method of objects of a type, are sent by reference.
---@param name string of the function, or `#type`
---@param results string|(string|boolean)[]|nil `#type` for objects; the method's name for a type
---@param methodresults? string|(string|boolean)[]
function rpc.signature(name, results, methodresults) end

---The other side of a connection.
---@class rpc.peer
---@field skt socket.tcp.client
---@field id integer
local peer = {}
---Calls a function of the other side. Errors over there are raised here.
---@param name string
---@param ... any
---@return any ... or nil and `function not existing`, `not a function`, `closed`, `timeout`
function peer:call(name, ...) end
---The value of a variable of the other side.
---@param path string such as `a.b.3`
---@return any
---@return string? err
function peer:eval(path) end
---Sends code once; the function returned runs it over there.
---@param script string|string[]|function
---@return fun(...): ...
---@return string? err
function peer:newexec(script) end
---Calls a method of an object of the other side, as `object:name(...)` does.
---@param object userdata
---@param name string
---@param ... any
---@return any ...
function peer:invoke(object, name, ...) end
---Fails: it is not implemented.
---@param name string
---@param ... any
function peer:call0(name, ...) end
---`rpc.signature` on the other side.
---@param name string
---@param results any
---@param methodresults? any
function peer:remsignature(name, results, methodresults) end
function peer:close() end

return rpc
