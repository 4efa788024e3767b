import Foundation
import MilongaTestSupport
import Testing

/// A script, and the Lua that runs it. The script tells which of its tests passed.
struct ScriptRun: Sendable, CustomTestStringConvertible {
  let script: Script
  let host: LuaHost
  /// The server that the script starts, where it does not say itself.
  var server: String?
  /// The readiness back end, where that matters.
  var readiness: String?

  var testDescription: String {
    ["\(script)", "\(host)", server, readiness].compactMap(\.self).joined(separator: ", ")
  }

  static let all = onCopas + onEvents + onPoll

  /// What asks more of a readiness back end than that it tells what can be read and written.
  private static let onPoll = Script.all().filter {
    ["held", "leaving"].contains($0.name)
  }.flatMap { script in
    [nil, "ev_socket"].map {
      ScriptRun(script: script, host: .milonga, server: $0, readiness: "poll")
    }
  }

  /// What both servers for sockets have to do.
  private static let onEvents = Script.all()
    .filter {
      [
        "adversity", "bad_input", "behaviours", "codecs", "concurrency", "configuration", "errors",
        "failures",
        "fuzz", "held", "in_flight", "leaks", "leaving", "references", "serialization", "tls",
        "values", "wire_client",
      ].contains($0.name)
    }
    .map {
      ScriptRun(
        script: $0, host: $0.name == "wire_client" ? .lua51 : .milonga, server: "ev_socket")
    }

  private static let onCopas = Script.all().flatMap { script in
    let hosts: [LuaHost] =
      switch script.name {
      case "behaviours", "values": [.milonga, .module]
      case "wire_client": [.lua51]
      default: [.milonga]
      }
    return hosts.map { ScriptRun(script: script, host: $0) }
  }

  func check() throws {
    var environment = script.environment
    environment["TANGO_SERVER"] = server
    environment["MILONGA_READINESS"] = readiness
    let outcome = try host.run(
      [script.path], in: Workplace(), environment: environment)
    let report = ScriptReport(outcome.output)
    for failure in report.failures { Issue.record("\(failure)") }
    #expect(
      report.passed + report.failures.count == report.planned && report.passed > 0, "\(outcome)")
    #expect(outcome.status == (report.failures.isEmpty ? 0 : 1), "\(outcome)")
    #expect(outcome.errors == "")
  }
}
