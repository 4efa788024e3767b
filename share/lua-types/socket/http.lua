---@meta socket.http
-- socket.http: the client side of HTTP/1.1.

---@alias socket.http.create fun(): table?, string?

---@class socket.http.request: socket.url.parsed
---@field url? string
---@field sink? ltn12.sink where the body goes; thrown away if not given
---@field method? string "GET" if not given
---@field headers? table<string, string|number>
---@field source? ltn12.source the body to send; in chunks without a content-length
---@field step? ltn12.step
---@field newsource? fun(): ltn12.source makes the source, so that the body can be sent again
---@field proxy? string|false the URL of a proxy; "environment" for that of the environment, false for none
---@field no_proxy? string hosts that are asked without the proxy
---@field redirect? boolean false to see redirections, true to follow them with every method
---@field limits? socket.http.limits what the server may send before the body
---@field keepalive? boolean whether the connection is kept for further requests; `http.KEEPALIVE` if not given
---@field pool? string keeps connections of an own `create`, apart from those of other pools
---@field continue? number seconds to wait for the answer to `Expect: 100-continue`; 1 if not given
---@field verify? string|string[] of LuaSec, "peer" if not given
---@field verify_host? string|false the name that the certificate must have; false for any
---@field cafile? string the authorities to trust
---@field capath? string
---@field create? socket.http.create called instead of `socket.tcp`
---@field maxredirects? integer|false 5 if not given, false for no limit
---@field target? string[] in what `genericform` returns: what the sink collects

---@class socket.http.limits
---@field line? integer bytes in a line, 65536 if not given
---@field total? integer bytes in all lines, 262144 if not given
---@field lines? integer how many lines, 1000 if not given

---What `request` returns of the header fields. `pairs` sees the fields alone.
---@class socket.http.received
---@field [string] string values of one name are joined by commas
---@field [":all"] table<string, string[]> the values of each name, one by one
---@field [":url"] string what was asked for in the end
---@field [":trailers"]? table<string, string> the fields behind a body in chunks

---Settings that are not there until a program sets them.
---@class socket.http.settings
---@field NO_PROXY? string hosts that are asked without the proxy
---@field LIMITS? socket.http.limits what servers may send before the body
---@field KEEPALIVE? boolean whether connections are kept for further requests
---@field SSLVERIFY? string|string[] "none" to trust any https server

---@class socket.http: socket.http.settings
---@field TIMEOUT? number seconds for the connection and for every wait
---@field USERAGENT? string what the server is told
---@field PROXY? string the URL of a proxy for all requests; "environment" for that of the environment
---@field schemes table<string, { port: integer, create: fun(request: table): socket.http.create }>
local http = {}

---Requests a URL, by GET, or by POST with a body. With a table, the first result is 1, and
---the body of the answer goes to the sink.
---@overload fun(request: socket.http.request): integer?, integer|string, socket.http.received?, string?
---@param url string
---@param body? string
---@return string? body nil on an error
---@return integer|string code or the error
---@return socket.http.received? headers
---@return string? status
function http.request(url, body) end

---The table form of a simple request.
---@param url string
---@param body? string
---@return socket.http.request
function http.genericform(url, body) end

---A connection for one request. Its methods throw what `socket.protect` catches.
---@param host string
---@param port? integer|string
---@param create? socket.http.create
---@return socket.http.connection
function http.open(host, port, create) end

---@class socket.http.connection
---@field c table the socket
local connection = {}
---@param method? string
---@param uri string
function connection:sendrequestline(method, uri) end
---@param headers table<string, string|number>
function connection:sendheaders(headers) end
---@param headers table<string, string|number>
---@param source? ltn12.source
---@param step? ltn12.step
function connection:sendbody(headers, source, step) end
---@return integer? code
---@return string status
function connection:receivestatusline() end
---@return table<string, string>
function connection:receiveheaders() end
---@param headers table<string, string>
---@param sink? ltn12.sink
---@param step? ltn12.step
function connection:receivebody(headers, sink, step) end
---@param status string
---@param sink? ltn12.sink
---@param step? ltn12.step
function connection:receive09body(status, sink, step) end
function connection:close() end

return http
