import Foundation
import TestSupport
import Testing

/// The original's own test, unmodified, with ours as one of the two sides. The original is no package
/// of Debian's: `MILONGA_TANGO_ORIGINAL` names the folder that holds it.
@Suite("The original tango")
struct OriginalTests {
  /// The original's folder, when there is one.
  static let folders = [ProcessInfo.processInfo.environment["MILONGA_TANGO_ORIGINAL"]]
    .compactMap { $0 }

  /// Who plays the client; the other one is the server.
  @Test(arguments: folders, [LuaHost.milonga, .lua51])
  func `its own test passes`(_ folder: String, _ client: LuaHost) throws {
    let server: LuaHost = client == .milonga ? .lua51 : .milonga
    let place = try Workplace()
    // The test starts its servers with the command `lua`.
    let command = try server.command().joined(separator: " ")
    try place.write("#!/bin/sh\nexec \(command) -l fixed_port \"$@\"\n", to: "lua")
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o755], ofItemAtPath: place.path + "/lua")
    let support = LuaHost.package + "/Tests/LuaTangoTests/Scripts/support"
    let environment = [
      "PATH": "\(place.path):/usr/bin:/bin", "LUA_PATH": "\(support)/?.lua;./?.lua;;",
      "TANGO_PORT": String(try freePort()),
    ]
    let outcome = try client.run(
      ["-l", "fixed_port", "test_client.lua", "copas_socket", "socket"], in: place,
      folder: folder, environment: environment)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output.contains("\n#TESTS\t15\n#OK\t15\n#FAILED\t0\n"), "\(outcome)")
  }

  /// Our copies of the documentation's examples are what it has.
  @Test(arguments: folders)
  func `the examples are verbatim`(_ folder: String) throws {
    let document = try String(contentsOfFile: folder + "/README.md", encoding: .utf8)
    let examples = LuaHost.package + "/Tests/LuaTangoTests/Scripts/support/examples/"
    let names = try FileManager.default.contentsOfDirectory(atPath: examples)
    #expect(names.count == 12)
    for name in names {
      let text = try String(contentsOfFile: examples + name, encoding: .utf8)
      #expect(document.contains("```lua\n\(text)```"), "\(name)")
    }
  }

  private func freePort() throws -> Int {
    let script = "print((select(2, assert(require 'socket'.bind('127.0.0.1', 0)):getsockname())))"
    let outcome = try LuaHost.milonga.run(["-e", script], in: Workplace())
    return try #require(Int(outcome.output.trimmingCharacters(in: .newlines)))
  }
}
