import MilongaTestSupport
import Testing

@Suite("The prompt is lua5.4's")
struct PromptTests {
  @Test(
    "Not on a terminal",
    arguments: [
      "", "1 + 1\n", "1, nil, 'x'\n", "=3\n", "x = 5\nx\n=x\n", "return 1, 2\n",
      "for i = 1, 2 do\nprint(i)\nend\n", "function f()\n\nreturn 1 end\nf()\n", "do\nend end\n3\n",
      "error('e')\n1\n", "error({})\n", "error()\n", "x =\n1\n", "x = = 1\n1\n", "nil\n", "\n\n1\n",
      "-- comment\n", "1 -- comment\n", "local a = 1\na\n", "_PROMPT = 'lua> '\n1\n",
      "_PROMPT = 1\n_PROMPT2 = setmetatable({}, {__tostring = function() return '+> ' end})\n"
        + "x = (\n1)\nx\n",
      "_PROMPT = ''\n1\n", "print = nil\n1\n", "print = error\n'x'\n", "os.exit(3)\n",
      "os.exit(3, true)\n", "...\n", "[[a\nb]]\n", "coroutine.yield()\n", "goto x\n",
      "error(setmetatable({}, {__tostring = function() return 'obj' end}))\n",
      "table.unpack({}, 1, 1e5)\n1\n",
      "setmetatable({}, {__gc = function() print 'gc' end}) ~= nil\n",
      "io.read()\nthis line\n", "coroutine.wrap(function() error('c') end)()\n", "1",
    ])
  func piped(_ input: String) throws {
    try Comparison("-i", input: input).check()
  }

  @Test(arguments: [
    Comparison("-i", "s.lua", "a", input: "x\narg[1]\n", files: ["s.lua": "x = ...\nprint 'ran'"]),
    Comparison("-i", "-e", "x = 2", input: "x\n"),
    Comparison("-i", "-l", "string", input: "string ~= nil\n"),
    Comparison("-i", input: "x\n", environment: ["LUA_INIT": "x = 4"]),
    Comparison("-E", "-i", input: "x\n", environment: ["LUA_INIT": "x = 4"]),
    Comparison("-i", "-W", input: "warn('w')\n"),
    Comparison("-i", "-", input: "print('script')"),
  ])
  func afterScript(_ comparison: Comparison) throws { try comparison.check() }

  @Test("The end of the input inside a statement is its syntax error")
  func unfinished() throws {
    let outcome = try Comparison("-i", input: "for i = 1").run(.milonga)
    #expect(outcome.errors.hasPrefix("stdin:1: "))
    #expect(outcome.errors.hasSuffix("near <eof>\n"))
    #expect(outcome.status == 0)
  }

  @Test("On a terminal, with editing and history")
  func terminal() throws {
    let ours = try session(.milonga)
    let theirs = try session(.lua)
    #expect(ours == theirs)
  }

  /// What a terminal shows in a session with the program.
  private func session(_ program: Program) throws -> String {
    let terminal = try Terminal(program)
    try terminal.expect("PUC-Rio")
    try terminal.expect("> ")
    try terminal.type(line: "1 + 1", expect: "2\n> ")
    try terminal.type(line: "for i = 1, 2 do", expect: ">> ")
    try terminal.type(line: "print(i * 10)", expect: ">> ")
    try terminal.type(line: "end", expect: "20\n> ")
    try terminal.type(line: "error('e')", expect: "in ?\n> ")
    try terminal.type(line: "x = = 1", expect: "near '='\n> ")
    try terminal.type(line: "nothing", expect: "nil\n> ")
    try terminal.type(line: "6 * 78", expect: "468\n> ")
    // Up, then Backspace over the 8.
    try terminal.type(line: "\u{10}\u{7f}", expect: "42\n> ")
    try terminal.type(line: "_PROMPT = 'rea' .. 'dy: '", expect: "ready: ")
    // Until it says so, readline still has the terminal, and what is typed is not echoed.
    try terminal.type(line: "print('go') x = io.read() print(#x)", expect: "\ngo\n")
    try terminal.type(line: "a line for the program", expect: "22\nready: ")
    terminal.type("\u{4}")
    let status = try terminal.end()
    return "\(try withoutBanner(terminal.transcript))\nstatus \(status)"
  }

  @Test(
    "Ctrl-C interrupts the statement, and the prompt goes on", arguments: [Program.milonga, .lua])
  func interrupt(_ program: Program) throws {
    let terminal = try Terminal(program)
    try terminal.expect("> ")
    for _ in 1...2 {
      try terminal.type(line: "print('go') while true do end", expect: "\ngo\n")
      terminal.type("\u{3}")
      try terminal.expect("interrupted!\nstack traceback:\n")
      try terminal.expect("\n> ")
      try terminal.type(line: "40 + 2", expect: "42\n> ")
    }
    terminal.type("\u{4}")
    #expect(try terminal.end() == 0)
  }

  @Test("-e or -v leave no reason for a prompt", arguments: [["-e", "print 'x'"], ["-v"]])
  func noPrompt(_ arguments: [String]) throws {
    let terminal = try Terminal(.milonga, arguments)
    #expect(try terminal.end() == 0)
    #expect(!terminal.transcript.contains("> "))
  }

  @Test("Without readline and libedit, lines are read plainly")
  func plain() throws {
    let place = try Workplace()
    // Found before the real ones; not libraries.
    try place.write("", to: "libreadline.so.8")
    try place.write("", to: "libedit.so.2")
    let input = "x = 2\nx\nfor i = 1, x do\nprint(i)\nend\n= x + 1\n" + #"("y"):rep(2000)"# + "\n7"
    let outcome = try place.run(
      .milonga, ["-i"], input: input, environment: ["LD_LIBRARY_PATH": place.path])
    let repeated = String(repeating: "y", count: 2000)
    #expect(
      try withoutBanner(outcome.output)
        == "<version>\n> > 2\n> >> >> 1\n2\n> 3\n> \(repeated)\n> 7\n> \n")
    #expect(outcome.errors == "")
    #expect(outcome.status == 0)
  }

  @Test("A failing _PROMPT ends the program with its error")
  func badPrompt() throws {
    let input = "_PROMPT = setmetatable({}, {__tostring = function() error('p') end})\n"
    let outcome = try Comparison("-i", input: input).run(.milonga)
    #expect(outcome.errors.contains("stdin:1: p\n"))
    #expect(outcome.status == 1)
  }
}
