-- oks: 19
-- The module's table, its environment, clock and current task; SIGPIPE.
local function ignored()
  for line in io.lines("/proc/self/status") do
    local mask = line:match "^SigIgn:%s*(%x+)"
    if mask then return tonumber(mask, 16) & (1 << 12) ~= 0 end
  end
end
local before = ignored()
local xpio = require "xpio"
local check = require "check"

for _, name in ipairs {"socket", "socketpair", "pipe", "fdopen", "tqueue", "spawn", "gettime",
  "setCurrentTask", "getCurrentTask"} do
  check.equal("function " .. name, type(xpio[name]), "function")
end
package.loaded.xpio = nil
check.ok("there is one module", require "xpio" == xpio)

check.ok("SIGPIPE is ignored from the first load on", ignored(), before)
local r, w = xpio.pipe()
r:close()
check.results("a write to what nobody reads fails", table.pack(w:try_write("x")), nil, "Broken pipe")

check.ok("env has the environment", xpio.env.PATH == os.getenv("PATH") and xpio.env.HOME == os.getenv("HOME"))
local listed = {}
for line in io.popen("env -0 | tr '\\n\\0' '\\001\\n'"):lines() do
  local name, value = line:match "^(.-)=(.*)$"
  listed[name] = value:gsub("\1", "\n")
end
listed._ = xpio.env._ -- the shell's own
local same = true
for name, value in pairs(listed) do
  if name ~= "PWD" and name ~= "OLDPWD" and name ~= "SHLVL" then same = same and xpio.env[name] == value end
end
check.ok("all of it", same and check.count(xpio.env) >= check.count(listed) - 4)

local start = xpio.gettime()
xpio.tqueue():wait(0.02)
local passed = xpio.gettime() - start
check.ok("gettime counts seconds, in a format that fits the timeout", passed >= 0.02 and passed < 60, passed)

check.results("at first there is no current task", table.pack(xpio.getCurrentTask()), nil)
local task = {}
xpio.setCurrentTask(task)
check.ok("the current task", xpio.getCurrentTask() == task)
xpio.setCurrentTask(nil)
check.results("it can be taken back", table.pack(xpio.getCurrentTask()), nil)
check.raises("a task is a table", "(table expected, got number)", xpio.setCurrentTask, 1)
