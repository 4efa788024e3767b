-- oks: 57
-- Processes: what they are given, and how they end.
local xpio = require "xpio"
local check = require "check"
local ok, equal, pack = check.ok, check.equal, table.pack

---------------------------------------------------------------- arguments
local output, how, status = check.output {"printf", "<%s>", "a b", "", "c\nd", 12}
equal("arguments", output, "<a b><><c\nd><12>")
check.results("an exit", pack(how, status), "exit", 0)
equal("argv[0] is args[1]", (check.output({"other name", "-c", "echo $0"}, nil, {exe = "sh"})), "other name\n")
equal("exe with a path", (check.output({"sh", "-c", "echo $0"}, nil, {exe = "/bin/sh"})), "sh\n")
equal("bytes", (check.output {"printf", "%s", "\xff\xfe\1"}), "\xff\xfe\1")
local many = {"echo"}
for i = 1, 5000 do many[i + 1] = tostring(i) end
equal("many arguments", #check.output(many), 23893)

---------------------------------------------------------------- environment
output = check.output({"/usr/bin/env", "-0"}, nil, nil, {A = "1", b = "x=y", ["C D"] = "", N = 5})
local lines = {}
for line in output:gmatch "[^\0]+" do lines[#lines + 1] = line end
table.sort(lines)
equal("the environment, and nothing else", table.concat(lines, "|"), "A=1|C D=|N=5|b=x=y")

---------------------------------------------------------------- PATH
local folder = check.path("bin")
os.execute("mkdir -p " .. folder .. "/a " .. folder .. "/b")
local function file(name, text, mode)
  local path = folder .. "/" .. name
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
  os.execute("chmod " .. mode .. " " .. path)
  return path
end
file("b/xpio-test-tool", "#!/bin/sh\necho tool\n", "755")
file("a/xpio-test-tool", "no program", "644")
os.execute("mkdir " .. folder .. "/a/xpio-test-folder")
local plain = file("b/xpio-test-plain", "no program", "644")
local garbage = file("b/xpio-test-garbage", "no program", "755")
local orphan = file("b/xpio-test-orphan", "#!/no/such/interpreter\n", "755")
-- PATH is that of this process; it cannot be changed from Lua, so a copy of the program runs the
-- rest.
local inner = [[
  local xpio = require "xpio"
  local check = require "check"
  print(check.output({"xpio-test-tool"}), nil)
  print(xpio.spawn({"xpio-test-plain"}, {}, {}))
  print(pcall(xpio.spawn, {"xpio-test-folder"}, {}, {}))
  print(check.output({"xpio-test-tool"}, nil, {cwd = "/"}), nil)
]]
local environment = {LUA_PATH = os.getenv("LUA_PATH"), LUA_CPATH = os.getenv("LUA_CPATH")}
local link = io.popen("readlink /proc/$PPID/exe")
local interpreter = link:read()
link:close()
local function program(code, path, cwd)
  environment.PATH = path
  local args = {arg[-1], "-e", code}
  if package.loaded.milonga then table.move({"-l", "milonga"}, 1, 2, 2, table.move(args, 2, 3, 4)) end
  local text, how, status = check.output(args, nil, {exe = interpreter, cwd = cwd}, environment)
  assert(how == "exit" and status == 0, text)
  return text
end
output = program(inner, folder .. "/a:" .. folder .. "/b:/bin:/usr/bin")
ok("PATH is searched for what may be executed", output:find("^tool\n"), output)
ok("what may not is named", output:find("nil\t" .. folder .. "/b/xpio-test-plain: Permission denied", 1, true), output)
ok("folders do not count", output:find("false\tfile not found in PATH: xpio-test-folder", 1, true), output)
output = program(inner, ":/bin:/usr/bin", folder .. "/b")
ok("an empty part is the working directory, also for a child that works elsewhere",
  select(2, output:gsub("tool\n", "")) == 2, output)

---------------------------------------------------------------- programs that cannot run
for _, case in ipairs {
  {"/no/such/file", "/no/such/file: No such file or directory"},
  {plain, plain .. ": Permission denied"},
  {"/", "/: Permission denied"},
  {garbage, garbage .. ": Exec format error"},
  {orphan, orphan .. ": No such file or directory"},
} do
  check.results("cannot run: " .. case[2]:match ": (.*)", pack(xpio.spawn({case[1]}, {}, {})), nil, case[2])
end
equal("no child is left of them", #check.children(), 0)

---------------------------------------------------------------- files
-- 3 is the folder that is listed.
equal("only what is granted", (check.output({"ls", "/proc/self/fd"}, {[0] = 0, [7] = 0})), "0\n1\n2\n3\n7\n")
do
  -- Opened without close-on-exec, as C libraries do.
  local leaky = io.popen("exec cat >/dev/null", "w")
  local number = xpio.fdopen(0)
  output = check.output({"sh", "-c", "ls /proc/$$/fd"}, {[0] = 0})
  equal("not what others have opened", output, "0\n1\n2\n")
  number:close()
  leaky:close()
end
local r1, w1 = xpio.pipe()
local r2, w2 = xpio.pipe()
local process = xpio.spawn({"sh", "-c", "cat <&3 >&4"}, xpio.env, {[3] = r1, [4] = w2, [5] = w2})
check.results("granted objects are closed", pack(r1:fileno(), w2:fileno(), r1:close()), -1, -1, nil, "already closed")
w1:try_write("through the child")
w1:close()
equal("their other ends are not", check.await(r2, "read", "read", 100), "through the child")
check.results("the child's was the last", pack(check.await(r2, "read", "read", 100)), nil)
check.results("it ends", pack(check.await(process, "wait", "wait")), "exit", 0)

local a, b = xpio.socketpair()
local number = a:fileno()
check.results("a number",
  pack(check.await(xpio.spawn({"sh", "-c", "echo x >&9"}, xpio.env, {[9] = number}), "wait", "wait")), "exit", 0)
ok("stays open", a:fileno() == number and b:try_read(9) == "x\n")
ok("and was made blocking", not a:getsockopt("O_NONBLOCK"))
a:setsockopt("O_NONBLOCK", true)
local failed, why = xpio.spawn({"/no/such/file"}, {}, {[0] = a})
ok("nothing is closed when there is no child", failed == nil and a:fileno() == number and a:try_write("y") == 1, why)
ok("nor made blocking", a:getsockopt("O_NONBLOCK"))
output = check.output({"sh", "-c", "grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1"}, {[0] = a})
ok("granted files block", select(2, output:gsub("flags:%s+0+[12]?\n", "")) == 2, output)
ok("the parent's side of them does not", b:getsockopt("O_NONBLOCK"))

---------------------------------------------------------------- signals
local inner = [[
  local check = require "check"
  for line in io.lines "/proc/self/status" do
    if line:find "^SigIgn" then print("parent " .. line) end
  end
  print(check.output({"grep", "^Sig", "/proc/self/status"}), nil)
]]
-- A parent that ignores signals, as under nohup.
output = check.output({"sh", "-c", "trap '' HUP USR1; exec \"$@\"", "sh", interpreter, "-e", inner}, nil, nil,
  {PATH = xpio.env.PATH, LUA_PATH = os.getenv("LUA_PATH")})
local ignored = tonumber(output:match "parent SigIgn:%s*(%x+)", 16)
ok("a parent that ignores signals", ignored & 0x1201 == 0x1201, output)
equal("has a child that ignores none", output:match "\nSigIgn:%s*(%x+)", ("0"):rep(16))
equal("and blocks none", output:match "\nSigBlk:%s*(%x+)", ("0"):rep(16))
-- The pipe ends, and with it the one who writes: SIGPIPE is at its default.
local read, write = xpio.pipe()
process = assert(xpio.spawn({"yes"}, xpio.env, {[1] = write}))
check.await(read, "read", "read", 10)
read:close()
check.results("SIGPIPE ends a child", pack(check.await(process, "wait", "wait")), "signal", 13)

---------------------------------------------------------------- attributes
equal("cwd", (check.output({"pwd"}, nil, {cwd = "/usr"})), "/usr\n")
equal("a relative program is looked for there",
  (check.output({"./b/xpio-test-tool"}, nil, {cwd = folder})), "tool\n")
check.results("no such directory",
  pack(xpio.spawn({"true"}, {}, {}, {cwd = "/no/such"})), nil, "directory /no/such: No such file or directory")
equal("umask in octal digits", (check.output({"sh", "-c", "umask"}, nil, {umask = "0137"})), "0137\n")
equal("umask as a number", (check.output({"sh", "-c", "umask"}, nil, {umask = 63})), "0077\n")
local function groups(files, attrs)
  local text = check.output({"sh", "-c", "set -- $(cat /proc/$$/stat); echo $1 $5 $6"}, files, attrs)
  return table.unpack {text:match "(%d+) (%d+) (%d+)"}
end
local pid, group, session = groups()
local _, ownGroup, ownSession = io.open("/proc/self/stat"):read("a"):match "%) %S (%d+) (%d+) (%d+)"
ok("group and session are inherited", group == ownGroup and session == ownSession)
pid, group, session = groups(nil, {pgroup = true})
ok("a group of its own", group == pid and session == ownSession)
pid, group, session = groups(nil, {setsid = true})
ok("a session of its own", group == pid and session == pid)
pid, group, session = groups(nil, {setsid = true, pgroup = true})
ok("both", group == pid and session == pid)
local leader = assert(xpio.spawn({"sleep", "60"}, xpio.env, {}, {pgroup = true}))
pid, group = groups(nil, {pgroup = leader})
ok("the group of another process", tonumber(group) == leader:pid() and group ~= pid)
leader:kill()
check.await(leader, "wait", "wait")
check.results("a group that is gone",
  pack(xpio.spawn({"true"}, {}, {}, {pgroup = leader})), nil, "process group: Operation not permitted")

---------------------------------------------------------------- the end
process = assert(xpio.spawn({"sh", "-c", "exit 42"}, {}, {}))
check.await(process, "wait", "wait")
for _ = 1, 3 do check.results("as often as it is asked", pack(process:try_wait()), "exit", 42) end
local queue = xpio.tqueue()
process:when_wait {_queue = queue}
equal("who waits for it is ready at once", #queue:wait(60), 1)
check.results("nobody to kill", pack(process:kill()), nil, "process not running")
for _, signal in ipairs {"TERM", "SIGINT", 1} do
  process = assert(xpio.spawn({"sleep", "60"}, xpio.env, {}))
  process:kill(signal)
  local _, number = check.await(process, "wait", "wait")
  equal("kill " .. signal, number, ({TERM = 15, SIGINT = 2, [1] = 1})[signal])
end
process = assert(xpio.spawn({"sleep", "60"}, xpio.env, {}))
check.results("it runs", pack(process:try_wait()), nil, "retry")
ok("a signal that is none asks", process:kill(0))
check.results("kill", pack(process:kill()), true)
check.results("a signal", pack(check.await(process, "wait", "wait")), "signal", 9)
os.execute("rm -r " .. folder)
