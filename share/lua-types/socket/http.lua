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
---@field proxy? string the URL of a proxy
---@field redirect? boolean false to see redirections
---@field create? socket.http.create called instead of `socket.tcp`
---@field maxredirects? integer|false 5 if not given, false for no limit
---@field target? string[] in what `genericform` returns: what the sink collects

---@class socket.http
---@field TIMEOUT? number seconds for the connection and for every wait
---@field USERAGENT? string what the server is told
---@field PROXY? string the URL of a proxy for all requests
---@field schemes table<string, { port: integer, create: fun(request: table): socket.http.create }>
local http = {}

---Requests a URL, by GET, or by POST with a body. With a table, the first result is 1, and
---the body of the answer goes to the sink.
---@overload fun(request: socket.http.request): integer?, integer|string, table<string, string>?, string?
---@param url string
---@param body? string
---@return string? body nil on an error
---@return integer|string code or the error
---@return table<string, string>? headers
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
