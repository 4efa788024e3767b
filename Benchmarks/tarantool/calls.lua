-- 256 fibers call `echo` on one net.box connection. Prints how many calls there were, and the seconds.
--
--   calls.lua PORT

local fiber, clock, netbox = require 'fiber', require 'clock', require 'net.box'
local con = netbox.connect('127.0.0.1:' .. assert(arg[#arg], 'PORT expected'))
local text, seconds, fibers = ('x'):rep(32), 3, 256

local function run(length)
  local calls, running, finish = 0, fibers, clock.monotonic() + length
  for _ = 1, fibers do
    fiber.create(function()
      while clock.monotonic() < finish do
        assert(con:call('echo', {text}) == text)
        calls = calls + 1
      end
      running = running - 1
    end)
  end
  while running > 0 do fiber.sleep(0.001) end
  return calls
end

run(0.3)
local start = clock.monotonic()
local calls = run(seconds)
print(calls, clock.monotonic() - start)
os.exit(0)
