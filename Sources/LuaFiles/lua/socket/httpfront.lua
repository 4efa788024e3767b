-- socket.httpfront: a buffer in front of a socket of LuaSec. LuaSec gives as many bytes as it is asked
-- for, or waits; to find the end of a line within a limit, one would have to ask for each byte. For
-- socket.httpconnection; not part of LuaSocket's interface.

local PIECE = 8192

---@class socket.http.front
---@field sock table
---@field held string what was received and not yet handed out
---@field timeout? number|string that of the socket, which blocks; nil for a wrapped socket of Copas
local Front = {}

-- What the front does not do is done by the socket.
Front.__index = function(self, name)
  if Front[name] ~= nil then return Front[name] end
  local sock = self.sock
  local method = sock[name]
  if type(method) ~= "function" then return method end
  return function(_, ...) return method(sock, ...) end
end

-- Whether the object, or what Copas has wrapped, is LuaSec's.
local function issecure(sock)
  if type(sock) == "table" then sock = rawget(sock, "socket") or rawget(sock, "sock") end
  return type(sock) == "userdata" and tostring(sock):find("^SSL") ~= nil
end

---A front for a connected socket; the socket itself if it needs none.
---@param sock table
---@param timeout? number|string that was set for it
---@return table
local function new(sock, timeout)
  if not issecure(sock) then return sock end
  local isCopas = type(sock) == "table" and type(sock.receivepartial) == "function"
  return setmetatable({
    sock = sock, held = "", timeout = timeout or -1, waitsforcopas = isCopas,
  }, Front)
end

-- Receives at least one byte more, and what else has come. The error otherwise.
function Front:fill()
  local sock = self.sock
  if self.waitsforcopas then
    local data, err, partial = sock:receivepartial(PIECE)
    local piece = data or partial or ""
    if piece == "" then return nil, err end
    self.held = self.held .. piece
    return true
  end
  local first, err = sock:receive(1)
  if not first then return nil, err end
  sock:settimeout(0)
  local more, _, partial = sock:receive(PIECE - 1)
  sock:settimeout(tonumber(self.timeout))
  self.held = self.held .. first .. (more or partial or "")
  return true
end

-- Takes bytes from what is held.
function Front:take(count)
  local taken = self.held:sub(1, count)
  self.held = self.held:sub(count + 1)
  return taken
end

---So many bytes, as `receive` of the socket has it.
---@param count integer
---@return string?
---@return string? err
---@return string? partial
function Front:receive(count)
  if type(count) ~= "number" then
    error("only a number of bytes can be received here", 2)
  end
  if #self.held >= count then return self:take(count) end
  local start = self:take(count)
  local rest, err, partial = self.sock:receive(count - #start)
  if rest then return start .. rest end
  return nil, err, start .. (partial or "")
end

---The bytes up to the next line end and with it; at most so many.
---@param most integer
---@param expired fun(): boolean whether the time for it is over
---@return string?
---@return string? err
function Front:receiveline(most, expired)
  local from = 1
  while true do
    local stop = self.held:find("\n", from, true)
    if stop or #self.held >= most then return self:take(math.min(stop or most, most)) end
    from = #self.held + 1
    local ok, err = self:fill()
    if not ok then return nil, err end
    if expired() then return nil, "timeout" end
  end
end

return { new = new, class = Front }
