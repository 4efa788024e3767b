import MilongaTestSupport
import Testing

@Suite("Milonga's own options")
struct HelpTests {
  @Test(arguments: ["--help", "-h"])
  func help(_ option: String) throws {
    let outcome = try Comparison(option).run(.milonga)
    #expect(outcome.status == 0)
    #expect(outcome.errors == "")
    for text in [
      "usage: lua [options] [script [args]]", "-e stat", "-l mod", "-l g=mod", "-i ", "-v ", "-E ",
      "-W ", "-- ", "--help", "--version", "Modules built in", "Examples:",
    ] {
      #expect(outcome.output.contains(text), "\(text)")
    }
    let widest = outcome.output.split(separator: "\n").map(\.count).max() ?? 0
    #expect(widest <= 80)
  }

  @Test("Help names every module in package.preload, and only those")
  func modules() throws {
    let listed = try Comparison(
      "-e", "for name in pairs(package.preload) do print(name) end"
    ).run(.milonga).output.split(separator: "\n")
    let help = try Comparison("--help").run(.milonga).output
    let words = Set(help.split { " ,\n".contains($0) })
    for name in listed { #expect(words.contains(name), "\(name)") }
  }

  @Test func version() throws {
    let outcome = try Workplace().run(.milonga, ["--version"])
    #expect(outcome.output.hasPrefix("Milonga \(try Changelog.version()) (Lua 5.4."))
    #expect(outcome.output.hasSuffix("Lua.org, PUC-Rio)\n"))
    #expect(outcome.status == 0)
  }

  @Test("Among a script's arguments they are the script's")
  func scriptArguments() throws {
    let outcome = try Comparison("s.lua", "--help", "-h", files: ["s.lua": "print(...)"])
      .run(.milonga)
    #expect(outcome.output == "--help\t-h\n")
  }
}
