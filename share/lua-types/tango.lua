---@meta tango

---Remote calls through transparent proxies: `con.name(...)` calls the function `name` of the server, or reads and writes
---its variable `name`.
---@class tango
---@field client {socket: tango.SocketClient, zmq: tango.ZMQClient}
---@field server {copas_socket: tango.CopasServer, ev_socket: tango.EventServer, zmq: tango.ZMQServer}
---@field codec {tango: tango.Codec, msgpack: tango.Codec, json: tango.Codec}
local tango = {}

---Calls the remote function, or the method of a remote object, and keeps what it returns on the server. The reference's
---methods and fields are those of the object: `ref:name(...)`.
---@param proxy tango.Proxy|tango.Method
---@param ... any
---@return tango.Reference
function tango.ref(proxy, ...) end

---Lets the server release the object. It is also released when the reference is collected, and when the connection ends.
---@param reference tango.Reference
function tango.unref(reference) end

---Ends a connection; calls that wait for an answer fail.
---@param con tango.Connection
function tango.close(con) end

---What stands for a remote function or variable; its fields are what is below it.
---@class tango.Proxy
---@field [string] tango.Proxy
---@operator call(...): ...

---A connection. `async` and `pipeline` hide remote names of the first level.
---@class tango.Connection: tango.Proxy
---@field async tango.AsyncProxy calls through it are under way when they return
---@field pipeline fun(f: fun(p: tango.AsyncProxy)): table sends the calls that f makes together; the first result of each, and their number n

---@class tango.AsyncProxy
---@field [string] tango.AsyncProxy
---@operator call(...): tango.Future

---The answer to a call, which may not have come yet.
---@class tango.Future
local future = {}

---Waits for the answer: the results of the call, or its error. May be called again.
---@return ...
function future:get() end

---Whether `get` would not wait.
---@return boolean
function future:ready() end

---A remote object.
---@class tango.Reference
---@field id string
---@field [string] tango.Method

---@class tango.Method
---@operator call(...): ...

---@class tango.Codec
---@field null? lightuserdata stands for null inside of tables
local codec = {}

---@param value any
---@return string
function codec.encode(value) end

---@param text string
---@return any
function codec.decode(text) end

---@class tango.Configuration
---@field serialize? fun(message: table): string
---@field unserialize? fun(text: string): table
---@field max_frame_bytes? integer the longest message taken or sent; 16 MiB
---@field max_depth? integer how deep tables may be nested; 128
---@field max_values? integer values in one message; 1000000

---@class tango.ClientConfiguration: tango.Configuration
---@field timeout? number seconds for connecting and for each call; 5000
---@field max_calls_in_flight? integer 65536

---@class tango.SocketClientConfiguration: tango.ClientConfiguration
---@field address? string 'localhost'
---@field port? integer|string 12345
---@field sslparams? table|userdata parameters of LuaSec, or a context
---@field ssl_timeout? number seconds for the handshake; 10
---@field authorize? fun(peer: tango.Peer): boolean?, string? asked once about each connection to the server
---@field reconnect? boolean a call makes a lost connection again; no call is sent twice

---@class tango.ZMQClientConfiguration: tango.ClientConfiguration
---@field url? string 'tcp://localhost:12345'

---@class tango.ServerConfiguration: tango.Configuration
---@field functab? table what clients may use; all globals
---@field read_access? boolean whether clients may read variables; true
---@field write_access? boolean whether clients may write variables; true
---@field pcall? fun(f: function, ...): boolean, ... calls the functions in the place of Lua's own
---@field authorize? fun(peer: tango.Peer): boolean?, string? asked once about each client
---@field max_references? integer objects held for one client; 10000
---@field max_buffered_bytes? integer what all clients may make the process hold; 256 MiB
---@field insecure? boolean allows to offer all globals to other machines

---@class tango.SocketServerConfiguration: tango.ServerConfiguration
---@field interface? string '127.0.0.1'; '*' is every interface
---@field port? integer|string 12345
---@field sslparams? table|userdata parameters of LuaSec, or a context
---@field ssl_timeout? number seconds for the handshake; 10
---@field max_connections? integer clients at a time
---@field idle_timeout? number seconds without a byte after which a client is disconnected
---@field on_disconnect? 'finish'|'cancel'|'answer' what becomes of a function that waits when its client leaves; 'finish'

---@class tango.ZMQServerConfiguration: tango.ServerConfiguration
---@field url? string 'tcp://127.0.0.1:12345'

---@class tango.Peer
---@field address string
---@field port? integer
---@field certificate? userdata an X.509 certificate of LuaSec

---@class tango.SocketClient
local socket = {}

---@param configuration? tango.SocketClientConfiguration
---@return tango.Connection
function socket.connect(configuration) end

---@class tango.ZMQClient
local zmq = {}

---@param configuration? tango.ZMQClientConfiguration
---@return tango.Connection
function zmq.connect(configuration) end

---@class tango.CopasServer
local copas_socket = {}

---@param configuration? tango.SocketServerConfiguration
---@return table socket, function handler both are for copas.addserver
function copas_socket.new(configuration) end

---@param configuration? tango.SocketServerConfiguration
function copas_socket.loop(configuration) end

---A server without a coroutine per client.
---@class tango.EventServer
local ev_socket = {}

---Serves as soon as Copas runs.
---@param configuration? tango.SocketServerConfiguration
---@return tango.EventListener
function ev_socket.new(configuration) end

---@param configuration? tango.SocketServerConfiguration
function ev_socket.loop(configuration) end

---@class tango.EventListener
local listener = {}

---There for programs of the original's: the server has started already.
---@return tango.EventListener
function listener:start(loop) end

function listener:stop() end

---@return string address, integer port, string family
function listener:getsockname() end

---@class tango.ZMQServer
local zmq_server = {}

---Serves as soon as Copas runs.
---@param configuration? tango.ZMQServerConfiguration
---@return tango.ZMQListener
function zmq_server.new(configuration) end

---@param configuration? tango.ZMQServerConfiguration
function zmq_server.loop(configuration) end

---@class tango.ZMQListener
local zmq_listener = {}

---@return tango.ZMQListener
function zmq_listener:start() end

function zmq_listener:stop() end

---Where it listens, with the port in the place of a wildcard.
---@return string
function zmq_listener:url() end

return tango
