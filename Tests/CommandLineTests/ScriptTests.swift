import MilongaTestSupport
import Testing

@Suite("Scripts run as under lua5.4")
struct ScriptTests {
  @Test(arguments: [
    Comparison("s.lua", files: ["s.lua": "print('hello')\nreturn 3"]),
    Comparison("s.lua", files: ["s.lua": "#!/usr/bin/env milonga\nprint(1)\nerror('line 3')"]),
    Comparison("s.lua", files: ["s.lua": "# not Lua"]),
    Comparison("s.lua", files: ["s.lua": "\u{FEFF}print(1)"]),
    Comparison("s.lua", files: ["s.lua": ""]),
    Comparison(
      "-e", "local f = io.open('c', 'w') f:write(string.dump(load('print(...)'))) f:close()", "c",
      "x"),
    Comparison("nosuch.lua"),
    Comparison("/"),
    Comparison(
      "s.lua", input: "a\nb\n", files: ["s.lua": "print(io.read('l')) print(io.read('a'))"]),
    Comparison("-", input: "print(io.read('a'))\nreturn 1"),
    Comparison(input: "print(1)\nprint(2)"),
    Comparison(input: "#!first line\nprint(1)"),
    Comparison(input: "error('in stdin')"),
    Comparison("-", input: "error('in stdin')"),
    Comparison(input: "x ="),
    Comparison("-", input: "x ="),
    Comparison("-e", "io.stdout:setvbuf('full') io.write('a') io.stderr:write('b') io.write('c')"),
    Comparison("-e", "io.write('no newline')"),
    Comparison("-e", "print(debug.traceback('t'))"),
    Comparison("-e", "print(pcall(coroutine.yield))"),
    Comparison("-e", "print(coroutine.isyieldable(), coroutine.running() ~= nil)"),
    Comparison("-e", "io.stdout:close()", "-e", "print(1)"),
  ])
  func script(_ comparison: Comparison) throws { try comparison.check() }

  @Test(arguments: [
    Comparison("-e", "os.exit()"),
    Comparison("-e", "os.exit(true)"),
    Comparison("-e", "os.exit(false)"),
    Comparison("-e", "os.exit(7)"),
    Comparison("-e", "os.exit(300)"),
    Comparison("-e", "x = setmetatable({}, {__gc = function() print('gc') end}) os.exit(3)"),
    Comparison("-e", "x = setmetatable({}, {__gc = function() print('gc') end}) os.exit(3, true)"),
    Comparison(
      "-e",
      "local x <close> = setmetatable({}, {__close = function() print 'c' end}) os.exit(4, true)"),
    Comparison("-e", "coroutine.wrap(function() os.exit(5, true) end)()"),
    Comparison("-e", "coroutine.wrap(function() os.exit(6) end)()"),
    Comparison("-e", "io.write('buffered') os.exit(0)"),
    Comparison("s.lua", files: ["s.lua": "os.exit(8, true)"]),
    Comparison("-i", "-e", "os.exit(9)"),
    Comparison("-e", "x = setmetatable({}, {__gc = function() os.exit(2) end})"),
    Comparison("-e", "x = setmetatable({}, {__gc = function() print('gc') end})"),
    Comparison("-e", "x = setmetatable({}, {__gc = function() print('gc') end}) error('e')"),
  ])
  func exit(_ comparison: Comparison) throws { try comparison.check() }

  @Test(arguments: [
    Comparison("-e", "print(x)", environment: ["LUA_INIT": "x = 1"]),
    Comparison("-e", "print(x)", environment: ["LUA_INIT_5_4": "x = 2", "LUA_INIT": "x = 1"]),
    Comparison("-e", "print(x)", environment: ["LUA_INIT_5_4": "", "LUA_INIT": "x = 1"]),
    Comparison("-E", "-e", "print(x)", environment: ["LUA_INIT": "x = 1"]),
    Comparison("-e", "print(x)", "-E", environment: ["LUA_INIT_5_4": "x = 1"]),
    Comparison("-e", "print(x)", environment: ["LUA_INIT": "@i.lua"], files: ["i.lua": "x = 3"]),
    Comparison("-e", "print(1)", environment: ["LUA_INIT": "@nosuch.lua"]),
    Comparison("-e", "print(1)", environment: ["LUA_INIT": "error('init')"]),
    Comparison("-e", "print(1)", environment: ["LUA_INIT_5_4": "error('init')"]),
    Comparison("-e", "print(1)", environment: ["LUA_INIT": "x ="]),
    Comparison("-v", "-e", "print(1)", environment: ["LUA_INIT": "print(arg[-1])"]),
    Comparison("-e", "print(package.path)", environment: ["LUA_PATH": "/x/?.lua;;"]),
    Comparison("-e", "print(package.path)", environment: ["LUA_PATH_5_4": "/y/?.lua"]),
    Comparison("-E", "-e", "print(package.path)", environment: ["LUA_PATH": "/x/?.lua;;"]),
    Comparison("-E", "-e", "print(package.cpath)", environment: ["LUA_CPATH": "/x/?.so"]),
    Comparison("-e", "print(package.cpath)"),
  ])
  func environment(_ comparison: Comparison) throws { try comparison.check() }
}
