import MilongaTestSupport
import Testing

/// A stock Lua with `build/milonga.so`, which ends while threads of the module are at work.
@Suite struct ModuleExitTests {
  @Test(
    arguments: ["return", "exit", "closing exit", "thread", "error"], ["alone", "with everything"])
  func whileThreadsWork(_ how: String, _ what: String) throws {
    let script = try #require(
      Script.all(besides: #filePath, in: "Scripts/support").first { $0.name == "leave_working" })
    for _ in 0..<20 {
      let outcome = try LuaHost.module.run(
        [script.path, how, what], in: Workplace(), environment: script.environment, seconds: 60)
      #expect(outcome.status == (how == "error" ? 1 : 0), "\(outcome)")
      if how != "error" { #expect(outcome.errors == "") }
    }
  }
}
