import MilongaTestSupport
import Testing

/// Programs that may have 300 MB of address space, and ask for more: our own and the stock Lua.
@Suite("Little address space")
struct AddressSpaceTests {
  struct Run: Sendable, CustomStringConvertible {
    let script: Script
    let host: LuaHost
    var description: String { "\(script), \(host)" }
  }

  private static let runs = Script.all(in: "Limited").flatMap { script in
    [LuaHost.milonga, .module].map { Run(script: script, host: $0) }
  }

  @Test(arguments: runs)
  func `the program goes on`(run: Run) throws {
    let limited = ["-c", "ulimit -S -v 300000; exec \"$@\"", "sh"]
    let outcome = try Workplace().run(
      .shell, limited + run.host.command() + [run.script.path],
      environment: ["MILONGA": Program.milonga.path], seconds: 120, session: true)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output == "alive\n", "\(outcome)")
  }
}
