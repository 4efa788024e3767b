import Foundation
import MilongaTestSupport
import Testing

/// Lua RPC as Lua programs see it: each script starts the servers and clients it needs.
@Suite("rpc")
struct RPCScriptTests {
  @Test(arguments: ScriptRun.all)
  func script(_ run: ScriptRun) throws { try run.check() }
}

/// A script, the Lua that runs it, and the readiness back end of its dispatcher.
struct ScriptRun: Sendable, CustomTestStringConvertible {
  let script: Script
  let host: LuaHost
  let readiness: String

  var testDescription: String { "\(script), \(host), \(readiness)" }

  static let all = Script.all().flatMap { script in
    var runs = [ScriptRun(script: script, host: .milonga, readiness: "epoll")]
    if ["behaviours", "concurrency", "held", "leaving", "serving"].contains(script.name) {
      runs.append(ScriptRun(script: script, host: .milonga, readiness: "poll"))
    }
    if ["behaviours", "limits", "values"].contains(script.name) {
      runs.append(ScriptRun(script: script, host: .module, readiness: "epoll"))
    }
    return runs.filter { _ in script.name != "original" }
  }

  func check() throws {
    var environment = script.environment
    environment["MILONGA_READINESS"] = readiness
    var outcome = try host.run(
      [script.path], in: Workplace(), environment: environment)
    if ["bad_input", "tls"].contains(script.name) {
      // The script's own peers log those peers that break the rules, on purpose.
      outcome.errors = outcome.errors.split(separator: "\n")
        .filter { !$0.contains(" warning rpc: ") }.joined(separator: "\n")
    }
    checkReport(outcome)
  }
}

/// Fails unless all tests of a script passed.
func checkReport(_ outcome: Outcome) {
  let report = ScriptReport(outcome.output)
  for failure in report.failures { Issue.record("\(failure)") }
  #expect(
    report.passed + report.failures.count == report.planned && report.passed > 0, "\(outcome)")
  #expect(outcome.status == (report.failures.isEmpty ? 0 : 1), "\(outcome)")
  #expect(outcome.errors == "")
}
