-- oks: 87
-- Bad input: an error that says what is wrong, and nothing is left behind: descriptors and children
-- are counted before and after each.
local xpio = require "xpio"
local check = require "check"

local closed = xpio.socket("TCP")
closed:close()
local ended = xpio.spawn({"/bin/true"}, {}, {})
check.await(ended, "wait", "wait")
local queue = xpio.tqueue()
local socket = xpio.socket("TCP")
local args, nothing = {"/bin/true"}, {}
local folder = check.path("bad")
os.execute("mkdir " .. folder .. "; touch " .. folder .. "/plain")

local function numbers()
  local list = {}
  for number in pairs(check.descriptors()) do list[#list + 1] = number end
  table.sort(list)
  return table.concat(list, " ") .. " children " .. #check.children()
end
numbers()

-- expected: what the error ends with; raised unless it begins with "nil: ".
local function bad(expected, body, ...)
  collectgarbage()
  collectgarbage()
  local before = numbers()
  local results = table.pack(pcall(body, ...))
  local returned = expected:match "^nil: (.*)"
  if returned then
    check.ok(expected,
      results[1] and results.n == 3 and results[2] == nil and results[3] == returned, table.unpack(results, 1, results.n))
  else
    local why = tostring(results[2])
    check.ok(expected, not results[1] and why:sub(-#expected) == expected, why)
  end
  results = nil
  collectgarbage()
  collectgarbage()
  local after = numbers()
  check.ok("nothing is left", before == after, before, after)
end

-- Wrong types.
bad("(table expected, got no value)", xpio.spawn)
bad("(table expected, got string)", xpio.spawn, "true", nothing, nothing)
bad("(table expected, got nil)", xpio.spawn, args, nil, nothing)
bad("(table expected, got nil)", xpio.spawn, args, nothing, nil)
bad("(table expected, got number)", xpio.spawn, args, nothing, nothing, 1)
bad("(string expected as element 2, got table)", xpio.spawn, {"true", {}}, nothing, nothing)
bad("(element 2 contains a NUL, which no program can be given)", xpio.spawn, {"true", "a\0b"}, nothing, nothing)
bad("spawn: file not provided", xpio.spawn, {}, nothing, nothing)
bad("spawn: file not provided", xpio.spawn, {}, nothing, nothing, {})
bad("(string expected as 'exe', got table)", xpio.spawn, args, nothing, nothing, {exe = {}})
bad("('exe' contains a NUL: there is no such file)", xpio.spawn, args, nothing, nothing, {exe = "/bin/true\0x"})

-- The environment.
bad("(the name 'A=B' contains '=')", xpio.spawn, args, {["A=B"] = "c"}, nothing)
bad("(the name or the value of 'A' contains a NUL)", xpio.spawn, args, {["A\0B"] = "c"}, nothing)
bad("(the name or the value of 'A' contains a NUL)", xpio.spawn, args, {A = "b\0c"}, nothing)
bad("(names and values are strings, got a string with a boolean)", xpio.spawn, args, {A = true}, nothing)
bad("(names and values are strings, got a boolean with a string)", xpio.spawn, args, {[true] = "a"}, nothing)

-- Descriptor maps.
bad("nil: file as the child's 1: already closed", xpio.spawn, args, nothing, {[1] = closed})
bad("nil: file 9999 as the child's 1: Bad file descriptor", xpio.spawn, args, nothing, {[1] = 9999})
bad("nil: file 0 as the child's 2000000000: Bad file descriptor", xpio.spawn, args, nothing, {[2000000000] = 0})
bad("(the child's file numbers are integers of 0 or more, got -1)", xpio.spawn, args, nothing, {[-1] = 0})
bad("(the child's file numbers are integers of 0 or more, got 1.5)", xpio.spawn, args, nothing, {[1.5] = 0})
bad("(the child's file numbers are integers of 0 or more, got string)", xpio.spawn, args, nothing, {stdin = 0})
bad("(the child's file numbers are integers of 0 or more, got 4294967296)", xpio.spawn, args, nothing, {[1 << 32] = 0})
bad("(a socket object or a file number expected as the child's 1, got -1)", xpio.spawn, args, nothing, {-1})
bad("(a socket object or a file number expected as the child's 1, got table)", xpio.spawn, args, nothing, {{}})
bad("(a socket object or a file number expected as the child's 1, got userdata)", xpio.spawn, args, nothing, {queue})
bad("(a socket object or a file number expected as the child's 1, got boolean)", xpio.spawn, args, nothing, {false})

-- Programs.
bad("file not found in PATH: no-such-program", xpio.spawn, {"no-such-program"}, nothing, nothing)
bad("file not found in PATH: ", xpio.spawn, {""}, nothing, nothing)
bad("nil: /no/such/program: No such file or directory", xpio.spawn, {"/no/such/program"}, nothing, {[0] = 0, [5] = socket})
bad("nil: " .. folder .. "/plain: Permission denied", xpio.spawn, {folder .. "/plain"}, nothing, {[0] = 0})
bad("nil: " .. folder .. ": Permission denied", xpio.spawn, {folder}, nothing, nothing)
bad("nil: /bin/true/x: Not a directory", xpio.spawn, {"/bin/true/x"}, nothing, nothing)
bad("nil: /bin/true: Argument list too long", xpio.spawn, {"/bin/true", ("x"):rep(3000000)}, nothing, nothing)

-- Attributes.
bad("nil: directory " .. folder .. "/plain: Not a directory", xpio.spawn, args, nothing, nothing, {cwd = folder .. "/plain"})
bad("(a string without NULs expected as 'cwd', got table)", xpio.spawn, args, nothing, nothing, {cwd = {}})
bad("(true or a process expected as 'pgroup', got number)", xpio.spawn, args, nothing, nothing, {pgroup = 1})
bad("(a number from 0 to 511 or octal digits like '022' expected as 'umask')", xpio.spawn, args, nothing, nothing, {umask = 512})
bad("(a number from 0 to 511 or octal digits like '022' expected as 'umask')", xpio.spawn, args, nothing, nothing, {umask = "8"})
bad("(a number from 0 to 511 or octal digits like '022' expected as 'umask')", xpio.spawn, args, nothing, nothing, {umask = true})
bad("nil: process group: Operation not permitted", xpio.spawn, args, nothing, nothing, {pgroup = ended})
check.ok("what was granted in vain is open still", socket:fileno() > 0 and socket:getsockopt("O_NONBLOCK"))

-- Processes.
bad("(unknown signal 'NO': a number or a name like 'TERM' expected)", ended.kill, ended, "NO")
local sleeper = xpio.spawn({"sleep", "60"}, xpio.env, nothing)
check.results("a signal that is none", table.pack(sleeper:kill(12345)), nil, "Invalid argument")
check.results("and it runs", table.pack(sleeper:try_wait()), nil, "retry")
sleeper:kill()
check.await(sleeper, "wait", "wait")
os.execute("rm -r " .. folder)
