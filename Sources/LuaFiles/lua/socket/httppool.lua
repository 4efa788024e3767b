-- socket.httppool: connections that are kept for further requests. For socket.httpclient; not part
-- of LuaSocket's interface.

local socket = require "socket"
local monotonic = require "socket.monotonic"

-- How many idle connections are kept for one server, and for how many seconds.
local MAX_IDLE, IDLE_SECONDS = 8, 30

---@class socket.http.pool
---@field idle table<string, { connection: socket.http.connection, since: number }[]>
local Pool = {}
Pool.__index = Pool

---@return socket.http.pool
local function new() return setmetatable({ idle = {} }, Pool) end

-- A connection on which something has come, or the end, is good for nothing: no request is under
-- way.
local function isquiet(connection)
  local sock = connection.c
  if connection.front and connection.front.held and connection.front.held ~= "" then return false end
  local inner = type(sock) == "table" and sock.socket or sock -- `select` takes no wrapped sockets
  return socket.select({ inner }, nil, 0)[inner] == nil
end

-- Closes what has been idle for too long.
function Pool:purge(now)
  for key, list in pairs(self.idle) do
    while list[1] and now - list[1].since > IDLE_SECONDS do
      table.remove(list, 1).connection:close()
    end
    if #list == 0 then self.idle[key] = nil end
  end
end

---An idle connection of this key, for the caller alone; nil if there is none.
---@param key string
---@return socket.http.connection?
function Pool:take(key)
  self:purge(monotonic())
  local list = self.idle[key]
  while list and #list > 0 do
    local connection = table.remove(list).connection
    if isquiet(connection) then
      connection.isclosed, connection.lines, connection.start = false, nil, nil
      connection.hasanswered = false
      return connection
    end
    connection:close()
  end
end

---Keeps a connection whose last answer is complete.
---@param key string
---@param connection socket.http.connection
function Pool:put(key, connection)
  local now = monotonic()
  self:purge(now)
  local list = self.idle[key] or {}
  self.idle[key] = list
  connection.isclosed = true
  list[#list + 1] = { connection = connection, since = now }
  if #list > MAX_IDLE then table.remove(list, 1).connection:close() end
end

---A text that is the same for values with the same contents.
---@param value any
---@param depth? integer
---@return string
function Pool.describe(value, depth)
  depth = depth or 0
  if type(value) ~= "table" or depth > 4 then return type(value) .. ":" .. tostring(value) end
  local parts = {}
  for name, part in pairs(value) do
    parts[#parts + 1] = ("%s=%q"):format(tostring(name), Pool.describe(part, depth + 1))
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

---------------------------------------------------------------- what may be kept

local IDEMPOTENT = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true, TRACE = true }

---Whether a program wants connections to be kept.
---@param plan table its fields are keepalive, create and pool
---@param settings table its field is KEEPALIVE
---@return boolean
function Pool.iswanted(plan, settings)
  if plan.create and not plan.pool then return false end
  local wanted = plan.keepalive
  if wanted == nil then wanted = settings.KEEPALIVE end
  if wanted == nil then wanted = os.getenv("MILONGA_HTTP_KEEPALIVE") == "1" end
  return wanted and true or false
end

---Whether a request may be sent on a connection that was idle. The server may close it meanwhile,
---and then the request is sent again.
---@param plan table
---@return boolean
function Pool.mayreuse(plan)
  return IDEMPOTENT[plan.method or "GET"] == true and (not plan.source or plan.newsource ~= nil)
end

local function hastoken(field, token)
  return ("," .. (field or ""):lower():gsub("%s", "") .. ","):find("," .. token .. ",", 1, true) ~= nil
end

---Whether another request may follow this answer, whose body has ended, on the same connection.
---@param plan table
---@param head table
---@return boolean
function Pool.maykeep(plan, head)
  if not plan.poolkey or head.isearly or head.code == 101 then return false end
  local asked, answered = plan.headers["connection"], head.fields["connection"]
  if hastoken(asked, "close") or hastoken(answered, "close") then return false end
  return head.status:find("^HTTP/1%.0") == nil or hastoken(answered, "keep-alive")
end

Pool.new = new
return Pool
