-- Ends a program with everything open, while helper threads are at work. It is for a stock Lua with
-- milonga.so, because a stock Lua unloads its modules when it closes the state.
--
--   leave_working.lua HOW [alone]
--
-- HOW: "return", "exit", "closing exit", "thread", "error"
-- alone: only with names that are looked up, so that the end takes no time

local copas = require "copas"
local socket = require "socket"
local tango = require "tango"
local xpio = require "xpio"

local function openEverything()
  -- Threads and connections that wait.
  copas.addthread(function()
    local _ <close> = setmetatable({}, {__close = function() end})
    copas.pause(600)
  end)
  for _, backEnd in ipairs {"copas_socket", "ev_socket"} do
    local api = {wait = function() copas.pause(600) end}
    local server, handler = tango.server[backEnd].new {port = 0, functab = api}
    if handler then copas.addserver(server, handler) end
    local _, port = server:getsockname()
    for _ = 1, 2 do
      copas.addthread(function()
        local con = tango.client.socket.connect {port = port}
        con.wait()
      end)
    end
  end
  local hasZMQ, server = pcall(tango.server.zmq.new, {url = "tcp://127.0.0.1:*", functab = {}})
  if hasZMQ then
    Server = server
    local con = tango.client.zmq.connect {url = Server:url()}
    copas.addthread(function() pcall(con.x) end)
  end

  for _ = 1, 3 do copas.step(0) end

  -- Children that are dropped, for the reaper; and one that is not.
  for _ = 1, 3 do assert(xpio.spawn({"sleep", "600"}, {}, {})) end
  Kept = assert(xpio.spawn({"sleep", "600"}, {}, {}))
  collectgarbage()
  collectgarbage()
end

if arg[2] ~= "alone" then openEverything() end

-- Names that are looked up; the next step starts that.
for _ = 1, 6 do
  copas.addthread(function() copas.connect(socket.tcp(), "localhost", 1) end)
end

copas.step(0)

local how = arg[1]
if how == "exit" then
  if Kept then Kept:kill() end
  os.exit(0)
elseif how == "closing exit" then
  os.exit(0, true)
elseif how == "thread" then
  copas.addthread(function() os.exit(0, true) end)
  copas.loop()
elseif how == "error" then
  error "the end"
end
