-- oks: 9
-- No zombies remain, and children of other libraries stay theirs.
local xpio = require "xpio"
local check = require "check"
local equal, ok = check.equal, check.ok

local queue = xpio.tqueue()

-- Waits until there are so many children.
local function settle(count)
  for _ = 1, 12000 do
    if #check.children() == count then return count end
    queue:wait(0.005)
  end
  return #check.children()
end

for _ = 1, 20 do assert(xpio.spawn({"/bin/true"}, {}, {})) end
for _ = 1, 20 do assert(xpio.spawn({"sleep", "60"}, xpio.env, {})) end
ok("there are children", #check.children() >= 20)
local before = check.count(check.descriptors())
collectgarbage()
collectgarbage()
equal("a process that nobody has is killed, and no zombie", settle(0), 0)
ok("their descriptors are closed", check.count(check.descriptors()) <= before - 40, before, check.count(check.descriptors()))

-- The end of another child is for the library that started it.
local ours = assert(xpio.spawn({"sh", "-c", "exit 3"}, xpio.env, {}))
local theirs = io.popen("exit 5")
ours:when_wait {_queue = queue}
equal("ours", #queue:wait(60), 1)
local how, status = ours:try_wait()
equal("its status", how .. status, "exit3")
equal("theirs", select(3, theirs:close()), 5)
equal("and that of a command", select(3, os.execute("exit 6")), 6)

-- When other code has waited for our child, its status is lost; but no wait lasts for ever.
local code = [[
  local xpio = require "xpio"
  local check = require "check"
  local process = xpio.spawn({"/bin/true"}, {}, {})
  print(check.await(process, "wait", "wait"))
  print(process:try_wait())
]]
-- A parent that ignores SIGCHLD has its children's ends thrown away.
local link = io.popen("readlink /proc/$PPID/exe")
local interpreter = link:read()
link:close()
local output = check.output({"sh", "-c", "trap '' CHLD; exec \"$@\"", "sh", interpreter, "-e", code})
ok("a status that is lost",
  output:find("nil\tNo child processes\nnil\tNo child processes\n", 1, true)
    or output:find("exit\t0\nexit\t0\n", 1, true), output)

-- At the end of the program they are killed.
output = check.output({interpreter, "-e", [[
  local process = require "xpio".spawn({"sleep", "60"}, require "xpio".env, {})
  print(process:pid())
]]})
local pid = tonumber(output)
local gone
for _ = 1, 1000 do
  local stat = io.open("/proc/" .. pid .. "/stat")
  gone = not stat or stat:read("a"):find "%) Z "
  if stat then stat:close() end
  if gone then break end
  queue:wait(0.005)
end
ok("children end with the program that has them", gone)
