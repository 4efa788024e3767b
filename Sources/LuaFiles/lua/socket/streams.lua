-- socket.streams: the sources and sinks behind `socket.source` and `socket.sink`. What they
-- make can be called like a function, and `socket.select` takes it for its socket.

local socket = require "socket.core"

local streams = { sinkt = {}, sourcet = {} }
local sinkt, sourcet = streams.sinkt, streams.sourcet

---A source or sink: `body` gets what it is called with.
---@param sock table
---@param body fun(...): ...
---@return table
function streams.over(sock, body)
  local function forward(method)
    return function() return sock[method](sock) end
  end
  return setmetatable({ getfd = forward "getfd", dirty = forward "dirty" }, {
    __call = function(_, ...) return body(...) end,
  })
end

-- A sink that sends. Called at the end of the data, `finish` may close the socket.
local function sender(finish)
  return function(sock)
    return streams.over(sock, function(chunk)
      if chunk then return sock:send(chunk) end
      finish(sock)
      return 1
    end)
  end
end

sinkt["keep-open"] = sender(function() end)
sinkt["close-when-done"] = sender(function(sock) sock:close() end)
sinkt["default"] = sinkt["keep-open"]

-- A function that receives like the socket, but gives what came before a timeout as a chunk, and
-- the timeout after that. A socket that does not wait has often no more, and it must not be lost.
local function receiver(sock)
  local pending
  return function(pattern)
    if pending then
      local err = pending
      pending = nil
      return nil, err
    end
    local chunk, err, rest = sock:receive(pattern)
    if chunk or not rest or rest == "" or (err ~= "timeout" and err ~= "wantread") then
      return chunk, err, rest
    end
    pending = err
    return rest
  end
end

-- So many bytes, and none of the bytes behind them.
sourcet["by-length"] = function(sock, length)
  local left, receive = length, receiver(sock)
  return streams.over(sock, function()
    if left <= 0 then return nil end
    local chunk, err = receive(math.min(left, socket.BLOCKSIZE))
    if not chunk then return nil, err end
    left = left - #chunk
    return chunk
  end)
end

-- Everything, until the other side ends the connection; then it is closed here, too.
sourcet["until-closed"] = function(sock)
  local open, receive = true, receiver(sock)
  return streams.over(sock, function()
    if not open then return nil end
    local chunk, err, rest = receive(socket.BLOCKSIZE)
    if chunk or err ~= "closed" then return chunk, err end
    open = false
    sock:close()
    return rest
  end)
end

sourcet["default"] = sourcet["until-closed"]

return streams
