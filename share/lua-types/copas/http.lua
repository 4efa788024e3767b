---@meta copas.http
-- copas.http: HTTP and HTTPS requests that make only their own thread wait.

---@alias copas.http.create fun(request: copas.http.request): table?, string?

---Seconds for each phase; `http.TIMEOUT` where there is none.
---@class copas.http.timeouts
---@field connect? number
---@field send? number
---@field receive? number

---@class copas.http.request: socket.http.request
---@field timeout? number|copas.http.timeouts `http.TIMEOUT` if not given
---@field redirect? boolean|"all" false to see redirections, true to follow them with every method, "all" from https to http, too
---@field create? copas.http.create makes the socket, which is then connected
---@field sslparams? table as for `copas.wrap`: { wrap = parameters of LuaSec, sni = { names, strict } }
---@field protocol? string of TLS, without sslparams
---@field options? string|string[] of TLS, without sslparams
---@field verify? string|string[] of TLS, without sslparams

---@class copas.http: socket.http.settings
---@field TIMEOUT? number seconds for connecting, for every send and for every receive
---@field PORT integer of http
---@field USERAGENT? string what the server is told
---@field PROXY? string the URL of a proxy for all requests; "environment" for that of the environment
---@field SSLPORT integer of https
---@field SSLPROTOCOL string
---@field SSLOPTIONS string|string[]
---@field SSLVERIFY string|string[]
---@field SSLSNISTRICT boolean
local http = {}

---Requests a URL, by GET, or by POST with a body. With a table, the first result is 1, and
---the body of the answer goes to the sink.
---@overload fun(request: copas.http.request): integer?, integer|string, table<string, string>?, string?
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
---@return copas.http.request
function http.parseRequest(url, body) end

---What makes the sockets of requests that have no `create`. A program's own `create` can call it,
---and keep the socket.
---@param params? table `sslparams`, or `protocol`, `options`, `verify`
---@return copas.http.create
function http.getcreatefunc(params) end

---A connection for one request. Its methods throw what `socket.protect` catches.
---@param request copas.http.request
---@return socket.http.connection
function http.open(request) end

return http
