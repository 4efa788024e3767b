-- oks: 3
-- Every function with every kind of argument, in threads and outside: errors, never worse.
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local seed = tonumber(os.getenv "SEED") or os.time()
print("seed", seed)
math.randomseed(seed)
copas.seterrorhandler(function() end, true)

-- What a call may be given and write to: not the standard output, whose lines the test counts.
local file = io.tmpfile()
local function silent(...) return ... end

local function values()
  local a, b = check.pair()
  local closed = check.pair()
  closed:close()
  local server = check.listener()
  local cyclic = {}
  cyclic.socket = cyclic
  local list = {
    nil, true, false, 0, -1, 1.5, 0 / 0, math.huge, -math.huge, math.mininteger, math.maxinteger, "", "x", "5", "*a",
    "127.0.0.1", "not a name", {}, cyclic, {socket = 1}, setmetatable({}, {__index = error}), silent, error, coroutine.yield,
    function() copas.pause(0.001) end, coroutine.create(silent), coroutine.running(), file, a, b, closed, server,
    socket.tcp(), copas.wrap(a), copas.wrap(closed), copas.wrap(server), setmetatable({}, getmetatable(copas.wrap(a))),
  }
  return function() return list[math.random(1, 37)] end, {a, b, closed, server}
end

-- Functions that wait for ever, or end the test, are left out.
local skipped = {loop = true, step = true, seterrorhandler = true, setErrorHandler = true, cancelall = true}
local functions = {}
for name, f in pairs(copas) do
  if type(f) == "function" and not skipped[name] then functions[#functions + 1] = f end
end
for _, f in pairs(getmetatable(copas.wrap(socket.tcp())).__index) do functions[#functions + 1] = f end

local calls = 0
local function try(any)
  local arguments = {}
  local count = math.random(0, 4)
  for i = 1, count do arguments[i] = any() end
  calls = calls + 1
  pcall(functions[math.random(#functions)], table.unpack(arguments, 1, count))
end

for _ = 1, 60 do
  local any = values()
  for _ = 1, 50 do try(any) end
end
check.ok("outside", calls == 3000)
calls = 0
for _ = 1, 150 do
  local any, sockets = values()
  local threads = {}
  for i = 1, 20 do threads[i] = copas.addthread(function() try(any) end) end
  for _ = 1, 3 do copas.step(0) end
  for _, t in ipairs(threads) do copas.removethread(t) end
  for _, s in ipairs(sockets) do s:close() end
  copas.step(0)
end
check.ok("in threads", calls > 2000, calls)

-- Service goes on after all that.
local server, port = check.listener()
copas.addserver(server, function(skt) copas.send(skt, "fine\n") end)
local c, line = socket.connect("127.0.0.1", port), nil
copas.addthread(function() line = copas.receive(c) end)
for _ = 1, 1000 do
  if line then break end
  copas.step(0.01)
end
check.ok("service goes on", line == "fine", line, "seed " .. seed)
os.exit(0)
