-- socket.httpupload: a body on its way to a server that may answer before it has all of it. For
-- socket.httpclient; not part of LuaSocket's interface.

local socket = require "socket"
local ltn12 = require "ltn12"
local body = require "socket.httpbody"
local buffered = require "socket.buffered"

-- How many seconds a server has to say that it wants the body, when it was asked. A server that
-- does not know the question says nothing, and gets the body then.
local CONTINUE_TIMEOUT = 1

-- Whether the server has sent something, or has closed the connection. It does not wait. Of TLS and
-- of sockets that others made it knows nothing.
local function hasarrived(connection)
  local sock = connection.c
  if buffered(sock, 0) == nil then return false end
  if type(sock) == "table" then sock = sock.socket end -- `select` takes no wrapped sockets
  return socket.select({ sock }, nil, 0)[sock] ~= nil
end

-- Waits for the beginning of an answer, which `receivestatusline` takes then.
local function isanswered(connection, seconds, settimeouts)
  connection.try(connection.c:settimeout(seconds))
  local start, err, partial = (connection.front or connection.c):receive(5)
  settimeouts(connection)
  connection.start = start or partial
  if not start and err ~= "timeout" and err ~= "wantread" then connection.try(nil, err) end
  return start ~= nil
end

-- Moves the body. Before each piece `stop` is called; when it returns true, no more is sent.
-- Returns whether all was sent, and why the connection takes no more.
local function offer(connection, plan, stop)
  local sink, failure, stopped = body.sink(connection.c, plan.headers), nil, false
  local step = plan.step or ltn12.pump.step
  local function sending(chunk, err)
    local ok, why = sink(chunk, err)
    if not ok then failure = why or "closed" end
    return ok, why
  end
  local function attentive(...)
    stopped = stop()
    if stopped then return nil end
    return step(...)
  end
  local ok, err = ltn12.pump.all(plan.source, sending, attentive)
  if not ok and not failure then connection.try(nil, err) end -- the source has failed
  return not failure and not stopped, failure
end

-- Whether the program wants to know first what the server thinks of the request.
local function expects(plan)
  local expectation = plan.headers["expect"]
  return type(expectation) == "string" and expectation:lower() == "100-continue"
end

---Sends the body of a request. A server may answer before it has all of it, and may not read the
---rest; then the head of its answer is returned.
---@param connection socket.http.connection
---@param plan table
---@param nexthead fun(connection): table? receives a head; nil for an informational one
---@param settimeouts fun(connection) sets the timeouts as they were before
---@return table? head
return function(connection, plan, nexthead, settimeouts)
  local head
  if expects(plan) and isanswered(connection, plan.continue or CONTINUE_TIMEOUT, settimeouts) then
    head = nexthead(connection)
    if head then
      head.isearly = true
      return head
    end
  end
  local complete, failure = offer(connection, plan, function()
    if hasarrived(connection) then head = nexthead(connection) end
    return head ~= nil
  end)
  if head then head.isearly = not complete end
  if complete or head then return head end
  -- A server that takes no more has said why, perhaps. One that is silent has not.
  if failure == "timeout" and not isanswered(connection, 0, settimeouts) then
    connection.try(nil, failure)
  end
  local good
  repeat good, head = pcall(nexthead, connection) until not good or head
  if not good or not head.fields then connection.try(nil, failure) end
  head.isearly = true
  return head
end
