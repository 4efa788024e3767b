-- oks: 4
-- Run as a user who may have few processes: `ulimit -u 4`.
local xpio = require "xpio"
local check = require "check"

local read, write = xpio.pipe()
local held, why = {}, nil
repeat
  held[#held + 1], why = xpio.spawn({"/bin/cat"}, {}, {[0] = read:fileno()})
until why or #held > 20
check.ok("no process left",
  #held >= 1 and #held < 5 and why == "cannot make a process: Resource temporarily unavailable", #held, why)
check.equal("those that were made run", #check.children(), #held)
for _, process in ipairs(held) do
  process:kill()
  check.await(process, "wait", "wait")
end
check.equal("none is left", #check.children(), 0)
local process = xpio.spawn({"/bin/true"}, {}, {})
check.results("and there is room again", table.pack(check.await(process, "wait", "wait")), "exit", 0)
-- Its end would have ended them.
write:close()
