import MilongaTestSupport
import Testing

@Suite("Options are lua5.4's")
struct OptionTests {
  static let showArguments = "for i = -9, 9 do if arg[i] then print(i, arg[i]) end end print(...)"

  @Test(arguments: [
    Comparison("-e", "print(1)"),
    Comparison("-eprint(1)"),
    Comparison("-e", ""),
    Comparison("-e", "x = 1", "-e", "print(x)"),
    Comparison("-e", "return 7"),
    Comparison("-e", "print(...)"),
    Comparison("-l", "m", "-e", "print(m.name)", files: ["m.lua": "return {name = ...}"]),
    Comparison("-lm", "-e", "print(m.name)", files: ["m.lua": "return {name = ...}"]),
    Comparison("-l", "g=m", "-e", "print(m, g.name)", files: ["m.lua": "return {name = ...}"]),
    Comparison("-lg=m", "-e", "print(m, g.name)", files: ["m.lua": "return {name = ...}"]),
    Comparison("-l", "a.b", "-e", "print(_G['a.b'])", files: ["a.lua": ""]),
    Comparison("-e", "x = 5", "-l", "m", "-e", "print(x)", files: ["m.lua": "x = x + 1"]),
    Comparison("-l", "m", "-e", "x = 5", files: ["m.lua": "print(x)"]),
    Comparison("-l", ""),
    Comparison("-l", "=m"),
    Comparison("-lm="),
    Comparison("-l", "nosuch"),
    Comparison("-e", "require = nil", "-l", "string"),
    Comparison(
      "-e", "setmetatable(_G, {__newindex = function(t, k) error('no ' .. k) end})", "-l",
      "new=string"),
    Comparison(
      "-e", "setmetatable(_G, {__index = function(t, k) error('no ' .. k) end}) require = nil",
      "-l", "string"),
    Comparison("-v"),
    Comparison("-v", "-e", "print(1)"),
    Comparison("-v", "-v"),
    Comparison("-v", "-", input: "print(2)"),
    Comparison("-v", "nosuch.lua"),
    Comparison("-W", "-e", "warn('a')"),
    Comparison("-e", "warn('a')", "-W", "-e", "warn('b')"),
    Comparison("-e", "warn('a')"),
    Comparison("-e", "warn('@on')", "-e", "warn('a', 'b')", "-e", "warn('@off') warn('c')"),
    Comparison("-W"),
    Comparison("-W", input: "warn('w')"),
    Comparison("-E", input: "print(1)"),
    Comparison("-E", "-W", "-v", "-e", "print(1)"),
    Comparison("-e", "print(collectgarbage('incremental'))"),
  ])
  func option(_ comparison: Comparison) throws { try comparison.check() }

  @Test(arguments: [
    Comparison("s.lua", files: ["s.lua": showArguments]),
    Comparison("s.lua", "a", "b c", "", files: ["s.lua": showArguments]),
    Comparison("s.lua", "-e", "-x", "--", "-", files: ["s.lua": showArguments]),
    Comparison("-e", "x = 1", "-E", "s.lua", "a", files: ["s.lua": showArguments]),
    Comparison("--", "s.lua", "a", files: ["s.lua": showArguments]),
    Comparison("--", "-s.lua", "a", files: ["-s.lua": showArguments]),
    Comparison("--", "-", input: showArguments, files: ["-": "print 'a file'"]),
    Comparison("--", input: showArguments),
    Comparison("-", input: showArguments),
    Comparison("-", "a", "b", input: showArguments),
    Comparison("-W", "-", "-", input: showArguments),
    Comparison(input: showArguments),
    Comparison("-e", showArguments),
    Comparison(
      "-e", "arg[1] = 'changed'; arg[2] = 'more'", "s.lua", "a",
      files: ["s.lua": "print(...)"]),
    Comparison("-e", "arg = nil", "s.lua", files: ["s.lua": "print(...)"]),
    Comparison("-e", "arg = nil", "nosuch.lua"),
    Comparison(
      "-e", "for i = 1, 1000 do arg[i] = i end", "s.lua",
      files: ["s.lua": "print(select('#', ...))"]),
    Comparison(""),
  ])
  func argumentTable(_ comparison: Comparison) throws { try comparison.check() }

  @Test("Arguments are bytes, not Unicode text")
  func bytes() throws {
    // Not expressible as a Swift String: the shell makes the byte.
    let place = try Workplace()
    try place.write("print(#arg[1], arg[1]:byte(1, -1))", to: "s.lua")
    let shell = "os.execute(arg[1] .. [[ s.lua $(printf 'a\\377\\200b')]])"
    let ours = try place.run(.lua, ["-e", shell, "/dev/null", Program.milonga.path])
    #expect(ours.output == "4\t97\t255\t128\t98\n")
  }

  @Test(arguments: [
    ["-x"], ["-vx"], ["-ii"], ["-Ex"], ["-Wx"], ["--x"], ["---"], ["-iv"], ["-e"], ["-l"],
    ["-e", "-"], ["-e", "-x"], ["-l", "-l"], ["-e", "print(1)", "-y"], ["-v", "-e"],
    ["-e", "print(1)", "-l"],
  ])
  func mistake(_ arguments: [String]) throws {
    var comparison = Comparison()
    comparison.arguments = arguments
    let ours = try comparison.run(.milonga)
    let theirs = try comparison.run(.lua)
    #expect(ours.output == theirs.output)
    #expect(ours.status == theirs.status)
    let lines = ours.errors.split(separator: "\n")
    #expect(lines.prefix(2) == theirs.errors.split(separator: "\n").prefix(2))
    #expect(ours.errors.contains("  -e stat "))
    #expect(ours.errors.contains("--help"))
  }
}
