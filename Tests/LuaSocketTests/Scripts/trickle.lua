-- Data that trickles in: how block and total timeouts go together.
local socket = require "socket"
local t = require "show"

-- Another process sends a byte every 40 ms for a while.
local server, port = t.listener()
local script = os.tmpname()
local file = io.open(script, "w")
file:write [[
  local socket = require "socket"
  local c = socket.connect("127.0.0.1", tonumber(arg[1]))
  for i = 1, tonumber(arg[2]) do
    socket.sleep(0.04)
    if not c:send("x") then break end
  end
  c:send("\n")
]]
file:close()

local function trickling(count)
  os.execute(("lua5.4 %s %d %d &"):format(script, port, count))
  return assert(server:accept())
end

local function attempt(count, block, total)
  local c = trickling(count)
  c:settimeout(block)
  c:settimeout(total, "t")
  local start = socket.gettime()
  local line, err, part = c:receive()
  local elapsed = socket.gettime() - start
  c:close()
  if line then return "all: " .. line end
  local some = #part == 0 and "nothing" or #part < count and "some" or "all"
  return ("%s, %s, %s"):format(err, some, elapsed < 0.04 * count and "before the end" or "too late")
end

-- On a loaded machine either side may be late: then once more, for what has to come.
local function run(label, expected, ...)
  local deadline, result = socket.gettime() + 30, nil
  repeat result = attempt(...) until result == expected or socket.gettime() > deadline
  print(label, result)
end

run("none", "all: xxxx", 4, nil, nil)
run("block alone counts from the start", "timeout, some, before the end", 20, 0.2, nil)
run("total", "timeout, some, before the end", 20, nil, 0.2)
run("total ends", "timeout, some, before the end", 20, 0.15, 0.3)
run("each wait has its own block", "all: xxxxx", 5, 0.15, 3)
run("block 0", "timeout, nothing, before the end", 4, 0, 3)
os.remove(script)
