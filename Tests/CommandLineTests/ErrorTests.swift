import Glibc
import MilongaTestSupport
import Testing

@Suite("Errors are reported as by lua5.4")
struct ErrorTests {
  @Test(arguments: [
    Comparison("-e", "x ="),
    Comparison("-e", "goto nowhere"),
    Comparison("-e", "x = 'unfinished"),
    Comparison("s.lua", files: ["s.lua": "local x = 1\n\nlocal y y y"]),
    Comparison("s.lua", files: ["s.lua": "local function f() error('deep') end\nf()"]),
    Comparison("s.lua", files: ["s.lua": "local t = nil\nprint(t.x)"]),
    Comparison("s.lua", files: ["s.lua": "require 'm'", "m.lua": "\nerror('in module')"]),
    Comparison("s.lua", files: ["s.lua": "require 'm'", "m.lua": "x ="]),
    Comparison("-l", "m", files: ["m.lua": "error('in module')"]),
    Comparison("-e", "error()"),
    Comparison("-e", "error(nil)"),
    Comparison("-e", "error({})"),
    Comparison("-e", "error(true)"),
    Comparison("-e", "error(12)"),
    Comparison("-e", "error(print == nil)"),
    Comparison("-e", "error('no position', 0)"),
    Comparison("-e", "error('')"),
    Comparison("-e", "error('nul\\0byte')"),
    Comparison("-e", "error('bytes \\200\\255')"),
    Comparison("-e", "error(setmetatable({}, {__tostring = function() return 'text' end}))"),
    Comparison("-e", "error(setmetatable({}, {__tostring = function() return 1 end}))"),
    Comparison("-e", "error(setmetatable({}, {__tostring = function() error('no') end}))"),
    Comparison("-e", "error(setmetatable({}, {__tostring = function() error({}) end}))"),
    Comparison("-e", "error(setmetatable({}, {__tostring = function(t) error(t) end}))"),
    Comparison("-e", "error(setmetatable({}, {__name = 'Named'}))"),
    Comparison("-e", "local t <close> = setmetatable({}, {__close = function() error('c') end})"),
    Comparison("-e", "assert(false)"),
    Comparison("-e", "assert(nil, 'asserted')"),
    Comparison("-e", "string.rep('x', 1 << 40)"),
    Comparison("-e", "string.rep()"),
    Comparison("-e", "('x'):rep(1, 2, {}, nil):bad()"),
    Comparison(
      "-e", "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) t.x()"),
    Comparison("-e", "coroutine.wrap(function() error('in coroutine') end)()"),
    Comparison("-e", "coroutine.wrap(function() error({}) end)()"),
    Comparison("-e", "print(coroutine.resume(coroutine.create(function() error('caught') end)))"),
    Comparison("-e", "coroutine.yield()"),
    Comparison("-e", "table.sort({3, 2, 1}, function() coroutine.yield() end)"),
    Comparison("-e", "setmetatable({}, {__gc = function() error('in gc') end})"),
    Comparison("-W", "-e", "setmetatable({}, {__gc = function() error('in gc') end})"),
    Comparison("-W", "-e", "setmetatable({}, {__gc = function() error({}) end})"),
    Comparison("-e", "print(1)", "-e", "error('second')", "-e", "print(3)"),
    Comparison("-e", "error('before')", "s.lua", files: ["s.lua": "print('not run')"]),
    Comparison("-e", "error('e')", "-i"),
    Comparison("-i", "s.lua", files: ["s.lua": "error('e')"]),
    Comparison("-e", "debug.sethook(function() error('hook') end, 'l') local x = 1\nx = 2"),
    Comparison("-e", "xpcall(error, function(m) print('handled', m) end, 'e')"),
  ])
  func error(_ comparison: Comparison) throws { try comparison.check() }

  @Test("A stack overflow is an error like any other")
  func stackOverflow() throws {
    let comparison = Comparison("-e", "local function f() return f() + 1 end f()")
    let ours = try comparison.run(.milonga)
    #expect(ours.status == 1)
    #expect(ours.errors.hasPrefix("lua: (command line):1: stack overflow\nstack traceback:\n"))
  }

  @Test("SIGPIPE ends the process", arguments: [Program.milonga, .lua])
  func brokenPipe(_ program: Program) throws {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    close(ends[0])
    defer { close(ends[1]) }
    let process = try program.start(["-e", "while true do print(1) end"]) { actions in
      posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    }
    #expect(try waitForEnd(of: process) == -SIGPIPE)
  }

  @Test("SIGINT is an error", arguments: [Program.milonga, .lua])
  func interrupt(_ program: Program) throws {
    let place = try Workplace()
    let code = "io.stdout:setvbuf('no') local function f() while true do print(1) end end f()"
    let process = try place.start(program, ["-e", code])
    while try place.read("stdout").isEmpty { usleep(1000) }
    kill(process, SIGINT)
    #expect(try waitForEnd(of: process) == 1)
    let errors = try place.read("stderr")
    #expect(errors.contains("interrupted!\nstack traceback:\n"))
    #expect(errors.hasSuffix(": in main chunk\n\t[C]: in ?\n"))
  }

  @Test(
    "Code can catch the interruption; a second SIGINT kills", arguments: [Program.milonga, .lua])
  func secondInterrupt(_ program: Program) throws {
    let place = try Workplace()
    let code = """
      io.stdout:setvbuf('no')
      print(pcall(function() print('ready') while true do end end))
      while true do end
      """
    let process = try place.start(program, ["-e", code])
    while try !place.read("stdout").hasPrefix("ready\n") { usleep(1000) }
    kill(process, SIGINT)
    while try !place.read("stdout").hasSuffix("interrupted!\n") { usleep(1000) }
    kill(process, SIGINT)
    #expect(try waitForEnd(of: process) == -SIGINT)
  }
}
