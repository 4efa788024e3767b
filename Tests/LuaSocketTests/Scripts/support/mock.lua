-- A stream object for tests: answers from a string, and keeps what was sent through it.
-- `log` gets a line per event: connects, timeouts, sent text (joined), closes.
local mock = {}

-- Text on one line; the header fields of a request are sorted, since stock's order is not fixed.
function mock.show(text)
  local head, rest = text:match("^(%a+ [^\r\n]* HTTP/1.1\r\n.-\r\n)\r\n(.*)$")
  if head then
    local lines = {}
    for line in head:gmatch("(.-)\r\n") do lines[#lines + 1] = line end
    local first = table.remove(lines, 1)
    table.sort(lines)
    text = first .. "\r\n" .. table.concat(lines, "\r\n") .. "\r\n\r\n" .. rest
  end
  text = string.format("%q", text):gsub("\\13\\\n", "~"):gsub("\\\n", "\\n")
  if #text > 400 then text = text:sub(1, 200) .. "..." .. #text end
  return text
end

function mock.log()
  local log, pending = {}, {}
  local function flush()
    if #pending > 0 then
      local text = table.concat(pending)
      pending = {}
      log[#log + 1] = "send " .. mock.show(text)
    end
  end
  return setmetatable(log, { __index = {
    sent = function(_, text) pending[#pending + 1] = text end,
    note = function(_, ...)
      flush()
      local parts = table.pack(...)
      for i = 1, parts.n do parts[i] = tostring(parts[i]) end
      log[#log + 1] = table.concat(parts, " ")
    end,
    lines = function() flush() return ipairs(log) end,
  } })
end

function mock.new(reply, log, options, name)
  options, name = options or {}, name or ""
  local position = 1
  local sock = {}
  function sock:settimeout(seconds, mode)
    if seconds ~= 60 then log:note(name .. "settimeout", seconds, mode) end
    return 1
  end
  function sock:connect(...)
    log:note(name .. "connect", ...)
    if options.connecterror then return nil, options.connecterror end
    return 1
  end
  local closed
  function sock:close()
    if not closed then log:note(name .. "close") end
    closed = true
    return 1
  end
  function sock:send(data, first, last)
    if options.senderror then return nil, options.senderror, 0 end
    data = data:sub(first or 1, last or -1)
    if name == "" then log:sent(data) else log:note(name .. "send", mock.show(data)) end
    return last or #data
  end
  function sock:getpeername() return "127.0.0.9", 99, "inet" end
  function sock:getsockname() return "127.0.0.1", 98, "inet" end
  function sock:getstats() return 11, 22, 33 end
  function sock:setoption() return 1 end
  function sock:getfd() return -1 end
  function sock:dirty() return false end
  local failure = options.failure or "closed"
  function sock:receive(pattern, prefix)
    pattern, prefix = pattern or "*l", prefix or ""
    local rest = #reply - position + 1
    if pattern == "*l" then
      local stop = reply:find("\n", position, true)
      local text = reply:sub(position, (stop or #reply + 1) - 1)
      position = (stop or #reply) + 1
      if stop then return prefix .. text:gsub("\r", "") end
      return nil, failure, prefix .. text
    end
    local size = pattern == "*a" and rest or pattern
    local text = reply:sub(position, position + size - 1)
    position = position + #text
    if #text < size or (pattern == "*a" and rest == 0) then return nil, failure, prefix .. text end
    return prefix .. text
  end
  return sock
end

return mock
