import Foundation
import TestSupport
import Testing

/// A script, and the Lua that runs it. The script tells which of its tests passed.
struct ScriptRun: Sendable, CustomTestStringConvertible {
  let script: Script
  let host: Host

  var testDescription: String { "\(script), \(host)" }

  static let all = Script.all().flatMap { script in
    let hosts: [Host] =
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
    var passed = 0
    var failures: [Substring] = []
    var planned: Int?
    for line in outcome.output.split(separator: "\n") {
      if line.hasPrefix("ok - ") {
        passed += 1
      } else if line.hasPrefix("not ok - ") {
        failures.append(line.dropFirst("not ok - ".count))
      } else if line.hasPrefix("1..") {
        planned = Int(line.dropFirst(3))
      } else if let last = failures.popLast() {
        failures.append(last + "\n" + line)
      }
    }
    for failure in failures { Issue.record("\(failure)") }
    #expect(passed + failures.count == planned && passed > 0, "\(outcome)")
    #expect(outcome.status == (failures.isEmpty ? 0 : 1), "\(outcome)")
    #expect(outcome.errors == "")
  }
}
