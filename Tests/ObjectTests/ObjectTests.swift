import Foundation
import MilongaTestSupport
import Testing

/// What scripts, peers and debuggers can take apart: that is an error, and never the end of the
/// process.
@Suite("Objects")
struct ObjectTests {
  static let hosts: [LuaHost] = [.milonga, .module]

  /// A script that says by itself whether all is well, on both hosts.
  @Test(arguments: Script.all(besides: #filePath).filter { $0.name != "hostile" }, hosts)
  func script(_ script: Script, on host: LuaHost) throws {
    let outcome = try host.run(
      [script.path], in: try Workplace(), environment: script.environment)
    let report = ScriptReport(outcome.output)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(report.failures.isEmpty)
    #expect(report.planned == report.passed, "\(outcome)")
  }

  /// Everything is called with anything; see `make fuzz` for more of it.
  @Test(arguments: ["milonga", "module"])
  func `nothing that is called ends the process`(_ host: String) throws {
    let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Scripts"
    let outcome = try Workplace().run(
      .lua,
      [scripts + "/hostile.lua", "--host", host, "--calls", "10000", "--seconds", "10"],
      environment: [
        "MILONGA": Program.milonga.path, "MILONGA_MODULE": LuaHost.package + "/build",
      ])
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output.contains("\n10000 calls") || outcome.output.hasPrefix("10000 calls"))
  }

  /// The test above would see a fault: a child that ends by a signal is one, unless the stock Lua
  /// does, too.
  @Test func `an end by a signal is a fault`() throws {
    let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Scripts"
    let place = try Workplace()
    try place.write("#!/bin/sh\nkill -SEGV $$\n", to: "victim")
    let victim = place.path + "/victim"
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: victim)
    let outcome = try place.run(
      .lua, [scripts + "/hostile.lua", "--calls", "10"], environment: ["MILONGA": victim])
    #expect(outcome.status == 1, "\(outcome)")
    #expect(outcome.output.contains("FAULT seed 1: signal 11"), "\(outcome)")
  }
}
