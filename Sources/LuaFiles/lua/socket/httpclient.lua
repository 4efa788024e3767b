-- socket.httpclient: the client side of HTTP/1.1, for socket.http and copas.http. Not part of
-- LuaSocket's interface.
--
-- A request goes through these steps: `prepare` makes a plan of it, `exchange` carries it out on
-- one connection, and `redirect.next` says whether the answer leads to another request.

local wire = require "socket.wire"
local body = require "socket.httpbody"
local prepare = require "socket.httpplan"
local redirect = require "socket.httpredirect"
local upload = require "socket.httpupload"
local Pool = require "socket.httppool"

local httpclient = {
  connection = require "socket.httpconnection",
  chunksource = body.chunksource,
  chunksink = body.chunksink,
}

---------------------------------------------------------------- requests

---@class socket.http.request: socket.url.parsed
---@field url? string
---@field sink? ltn12.sink
---@field method? string "GET" if not given
---@field headers? table<string, any>
---@field source? ltn12.source
---@field newsource? fun(): ltn12.source makes the source, so that a body can be sent again
---@field step? ltn12.step
---@field proxy? string|false
---@field no_proxy? string
---@field redirect? boolean|"all" false to see redirections, true to follow them with every method
---@field create? fun(): table?, string?
---@field maxredirects? integer|false 5 if not given, false for no limit
---@field limits? socket.wire.limits what the server may send before the body
---@field keepalive? boolean whether the connection is kept for further requests
---@field pool? string keeps connections of a program's own `create`, apart from those of other pools
---@field continue? number seconds to wait for the answer to `Expect: 100-continue`

---------------------------------------------------------------- answers

local function informational(code)
  return code >= 100 and code < 200
end

local function hasbody(plan, code)
  return plan.method ~= "HEAD" and not informational(code) and code ~= 204 and code ~= 304
end

-- The next head; nil if it is an informational one, behind which another head follows, unless the
-- protocol changes. Without `fields` it is an answer of HTTP/0.9.
local function nexthead(connection)
  local code, status = connection:receivestatusline()
  if not code then return { status = status } end
  local fields = connection:receiveheaders()
  if informational(code) and code ~= 101 then return nil end
  return { code = code, status = status, fields = fields }
end

---------------------------------------------------------------- exchanges

---Asks a proxy for a connection to the server of a plan.
---@param connection socket.http.connection with the proxy
---@param plan table
function httpclient.tunnel(connection, plan)
  connection:sendrequestline("CONNECT", plan.tunnelfields.host)
  connection:sendheaders(plan.tunnelfields)
  local head
  repeat head = nexthead(connection) until head
  connection.lines = nil -- what follows comes from the server
  if head.code and head.code >= 200 and head.code < 300 then return end
  connection.try(nil, ("the proxy refuses: %s"):format(wire.show(head.status)))
end

-- Sends all of a request, and returns the head of the answer.
local function exchange(client, connection, plan)
  connection:sendrequestline(plan.method, plan.uri)
  connection:sendheaders(plan.headers, plan.head)
  local head = plan.source and upload(connection, plan, nexthead, function()
    client.settimeouts(connection, plan)
  end)
  while not head do head = nexthead(connection) end
  return head
end

-- Closes a connection when what is done with it does not come to its end.
local guard = {
  __close = function(self)
    if self.connection then self.connection:close() end
  end,
}

-- The answer to a request on a connection that was idle; nil without one, or when the server has
-- closed it meanwhile: then nothing was done yet.
local function reuse(client, plan)
  local connection = plan.poolkey and Pool.mayreuse(plan) and client.pool:take(plan.poolkey)
  if not connection then return nil end
  local guarded <close> = setmetatable({ connection = connection }, guard)
  client.settimeouts(connection, plan)
  connection.limits = plan.limits or client.settings.LIMITS
  local head, err = client.socket.protect(exchange)(client, connection, plan)
  if head then
    guarded.connection = nil
    return connection, head
  end
  if err ~= "closed" or connection.hasanswered then connection.try(nil, err) end
  if plan.newsource then plan.source = plan.newsource() end
end

-- The answer to a request, and its connection.
local function answer(client, plan)
  local connection, head = reuse(client, plan)
  if connection then return connection, head end
  connection = client.open(plan)
  connection.isours = true
  local guarded <close> = setmetatable({ connection = connection }, guard)
  connection.limits = plan.limits or client.settings.LIMITS
  head = exchange(client, connection, plan)
  guarded.connection = nil
  return connection, head
end

-- What remains of a connection after an answer: it is kept, or closed.
local function leave(client, plan, connection, head, iscomplete)
  if iscomplete and Pool.maykeep(plan, head) then return client.pool:put(plan.poolkey, connection) end
  connection:close()
end

-- Bodies of redirections are read up to this length, so that the connection can be kept.
local MAX_DRAINED = 64 * 1024

-- Reads the body of an answer that leads to another request; whether it has come to its end.
local function drain(plan, connection, head)
  if not hasbody(plan, head.code) then return true end
  local length = body.length(head.fields)
  if not length or length > MAX_DRAINED or head.fields["transfer-encoding"] then return false end
  return plan.poolkey ~= nil and (pcall(connection.receivebody, connection, head.fields))
end

-- Follows redirections to an answer and gives its body to the sink.
local function perform(client, request)
  local hops = request.nredirects or 0
  local followed -- the location that the last hop came from
  while true do
    local plan = prepare(client, request)
    local opened, head = answer(client, plan)
    local connection <close> = opened
    local fields = head.fields
    if not fields then
      connection:receive09body(head.status, plan.sink, plan.step)
      connection:close()
      return 1, 200
    end
    local following, refusal = redirect.next(client, request, plan, head.code, fields, hops)
    if refusal then connection.try(nil, refusal) end
    if not following then
      body.annotate(fields, ":url", redirect.reached(client, plan))
      local _, iscomplete = nil, true
      if hasbody(plan, head.code) then
        _, iscomplete = connection:receivebody(fields, plan.sink, plan.step)
      end
      leave(client, plan, connection, head, iscomplete)
      fields["location"] = fields["location"] or followed
      return 1, head.code, fields, head.status
    end
    leave(client, plan, connection, head, drain(plan, connection, head))
    followed, hops, request = fields["location"], hops + 1, following
  end
end

---------------------------------------------------------------- the interface

---@alias socket.http.fields table<string, string>
---@alias socket.http.simple fun(url: string, body?: string): string?, integer|string, socket.http.fields?, string?
---@alias socket.http.generic fun(request: socket.http.request): 1?, integer|string, socket.http.fields?, string?

-- The generic form of a simple request. What is received goes to its field `target`.
local function genericform(client, location, text)
  local sink, target = client.ltn12.sink.table()
  local request = { url = location, sink = sink, target = target }
  if text then
    text = tostring(text)
    request.method = "POST"
    request.source = client.ltn12.source.string(text)
    request.headers = {
      ["content-length"] = #text,
      ["content-type"] = "application/x-www-form-urlencoded",
    }
  end
  return request
end

-- What `request` does, in its two forms.
local function request(client, what, text)
  if type(what) == "string" then
    local generic = genericform(client, what, text)
    local _, code, fields, status = perform(client, generic)
    return table.concat(generic.target), code, fields, status
  elseif type(what) ~= "table" then
    local message = "bad argument #1 to 'request' (string or table expected, got %s)"
    error(message:format(type(what)), 3) -- `protect` is in between
  end
  return perform(client, what)
end

---What a module that offers requests decides for itself.
---@class socket.http.client
---@field socket table the module `socket` that the module has
---@field ltn12 table
---@field settings table its fields TIMEOUT, USERAGENT, PROXY, NO_PROXY and LIMITS
---@field port fun(scheme: any): integer? the port of a scheme; nil if there is no such scheme
---@field open fun(plan: table): socket.http.connection connects to `plan.address`
---@field settimeouts fun(connection: socket.http.connection, plan: table) as `open` has set them
---@field securekey fun(plan: table): any what connections with TLS must have in common
---@field pool? socket.http.pool idle connections
---@field leavehttps fun(plan: table): boolean, string? whether a redirection may lead to http; or an error
---@field inherit fun(following: table, request: table, samescheme: boolean) passes fields on

---The functions of a module: `request`, and one that makes the table form of a simple request. With
---a string, the first result of `request` is the body; with a table it is 1 and the body goes to
---the sink.
---@param client socket.http.client
---@return socket.http.simple|socket.http.generic
---@return fun(location: string, text?: string): socket.http.request
function httpclient.requester(client)
  client.pool = Pool.new()
  return client.socket.protect(function(what, text) return request(client, what, text) end),
    function(location, text) return genericform(client, location, text) end
end

return httpclient
