-- Fibers that call `echo` over one net.box connection. Prints how many calls, and the seconds that
-- they took.
--
--   tarantool callers.lua FIBERS SECONDS PORT

local fiber, clock, netbox = require 'fiber', require 'clock', require 'net.box'
local fibers, seconds, port = tonumber(arg[1]), tonumber(arg[2]), arg[3]

local connection = netbox.connect('127.0.0.1:' .. port)
assert(connection:ping(), connection.error)
local arguments, calls = { ('x'):rep(32) }, 0
local start = clock.monotonic()
local workers = {}
for i = 1, fibers do
  workers[i] = fiber.new(function()
    while clock.monotonic() - start < seconds do
      assert(connection:call('echo', arguments) == arguments[1])
      calls = calls + 1
    end
  end)
  workers[i]:set_joinable(true)
end
for _, worker in ipairs(workers) do assert(worker:join()) end
print(calls, clock.monotonic() - start)
os.exit(0)
