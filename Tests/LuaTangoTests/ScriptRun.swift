import Foundation
import TestSupport
import Testing

/// A script, and the Lua that runs it. The script tells which of its tests passed.
struct ScriptRun: Sendable, CustomTestStringConvertible {
  let script: Script
  let host: LuaHost

  var testDescription: String { "\(script), \(host)" }

  static let all = Script.all().flatMap { script in
    let hosts: [LuaHost] =
      switch script.name {
      case "behaviours", "values": [.milonga, .module]
      case "wire_client": [.lua51]
      default: [.milonga]
      }
    return hosts.map { ScriptRun(script: script, host: $0) }
  }

  func check() throws {
    let outcome = try host.run(
      [script.path], in: Workplace(), environment: script.environment, seconds: 100)
    let report = ScriptReport(outcome.output)
    for failure in report.failures { Issue.record("\(failure)") }
    #expect(
      report.passed + report.failures.count == report.planned && report.passed > 0, "\(outcome)")
    #expect(outcome.status == (report.failures.isEmpty ? 0 : 1), "\(outcome)")
    #expect(outcome.errors == "")
  }
}
