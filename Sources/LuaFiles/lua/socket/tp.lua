-- socket.tp: protocols whose client sends command lines and whose server answers with a
-- three-digit code and text, like FTP and SMTP.

local socket = require "socket"
local ltn12 = require "ltn12"
local wire = require "socket.wire"

local tp = {
  TIMEOUT = 60, -- seconds, for the connection and for every wait
}

-- What a server may send as one reply.
local REPLY_LIMITS = { line = 64 * 1024, total = 1024 * 1024, lines = 10000 }

---@class socket.tp.connection
---@field c table the socket
---@field timeout number
local Connection = {}
local meta = { __index = Connection }

---------------------------------------------------------------- commands and replies

---Sends a command line. A command cannot carry another one behind a line end.
---@param command string
---@param argument? string|number
---@return integer? sent
---@return string? err
function Connection:command(command, argument)
  local words = { command:upper(), argument }
  local line = table.concat(words, " ")
  if line:find("[\r\n%z]") then
    return nil, ("line end in command '%s'"):format(wire.show(command))
  end
  return self.c:send(line .. "\r\n")
end

-- The lines of a reply from the second to the last, which begins with the same code and a
-- space, appended to `reply`.
local function receiverest(lines, code, reply)
  repeat
    local line, err = lines:next()
    if not line then return nil, err end
    reply[#reply + 1] = line
  until line == code or line:sub(1, 4) == code .. " "
  return true
end

-- One reply: its code as digits, and all of its text.
local function receivereply(self)
  local lines = wire.reader(self.c, REPLY_LIMITS, self.timeout)
  local line, err = lines:next()
  if not line then return nil, err end
  local code, hyphen = line:match("^(%d%d%d)(%-?)")
  if not code then return nil, "invalid server reply" end
  if hyphen == "" then return code, line end
  local reply, complete = { line }
  complete, err = receiverest(lines, code, reply)
  if not complete then return nil, err end
  return code, table.concat(reply, "\n")
end

-- Whether a code is one of those expected: a number, a pattern, or a list of these.
local function matches(code, expected)
  if type(expected) == "number" then return tonumber(code) == expected end
  if type(expected) ~= "table" then return code:find(expected) ~= nil end
  for _, one in ipairs(expected) do
    if matches(code, one) then return true end
  end
  return false
end

---Reads a reply and compares its code.
---@param expected integer|string|(integer|string)[]|fun(code: integer, reply: string): ...
---@return any code nil if it is another one
---@return string reply
function Connection:check(expected)
  local code, reply = receivereply(self)
  if not code then return nil, reply end
  local number = tonumber(code) --[[@as integer]]
  if type(expected) == "function" then return expected(number, reply) end
  return matches(code, expected) and number or nil, reply
end

---------------------------------------------------------------- data

---Passes what is received to a sink.
---@param snk ltn12.sink
---@param pattern any as the socket's `receive` has it
function Connection:sink(snk, pattern)
  local chunk, err = self.c:receive(pattern)
  return snk(chunk, err)
end

---Sends everything that a source produces.
---@param src ltn12.source
---@param step? ltn12.step
---@return any
---@return string? err
function Connection:source(src, step)
  return ltn12.pump.all(src, socket.sink("keep-open", self.c), step)
end

---------------------------------------------------------------- the socket

-- What is done by the socket itself.
for _, name in ipairs { "dirty", "getfd", "getpeername", "getsockname", "receive", "send" } do
  Connection[name] = function(self, ...) return self.c[name](self.c, ...) end
end

---The socket.
function Connection:getcontrol() return self.c end

---Closes the connection.
---@return integer
function Connection:close()
  self.c:close()
  return 1
end

---Connects to a server.
---@param host string
---@param port integer|string
---@param timeout? number seconds, `tp.TIMEOUT` if not given
---@param create? fun(): table?, string? called instead of `socket.tcp`
---@return socket.tp.connection?
---@return string? err
function tp.connect(host, port, timeout, create)
  timeout = timeout or tp.TIMEOUT
  local sock, err = wire.connect(host, port, timeout, create or socket.tcp)
  return sock and setmetatable({ c = sock, timeout = timeout }, meta), err
end

socket.tp = tp
return tp
