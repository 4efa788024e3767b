import Foundation
import MilongaTestSupport
import Testing

/// The original's own test, unmodified, with ours as one of the two sides. The original is no
/// package of Debian's: `MILONGA_TANGO_ORIGINAL` names the folder that holds it.
@Suite("The original tango")
struct OriginalTests {
  /// The original's folder, when there is one.
  static let folders = [ProcessInfo.processInfo.environment["MILONGA_TANGO_ORIGINAL"]]
    .compactMap { $0 }

  /// The Lua of the client, the Lua of the server, and what connects them. Debian has no packages
  /// of what the original needs for its event server and for ZeroMQ.
  struct Pairing: Sendable, CustomTestStringConvertible {
    let client: LuaHost
    let server: LuaHost
    /// The words behind the name of the test.
    let words: [String]

    var testDescription: String { "\(client) to \(server), \(words.joined(separator: " "))" }

    static let all =
      [("copas_socket", ""), ("ev_socket", ""), ("copas_socket", "ssl"), ("ev_socket", "ssl")]
      .flatMap { backEnd, option in
        [(LuaHost.milonga, LuaHost.milonga), (.milonga, .lua51), (.lua51, .milonga)]
          .filter { $0.1 != .lua51 || backEnd == "copas_socket" }
          .map {
            Pairing(
              client: $0.0, server: $0.1,
              words: [backEnd, "socket", option].filter { !$0.isEmpty })
          }
      } + [Pairing(client: .milonga, server: .milonga, words: ["zmq", "zmq"])]
  }

  @Test(arguments: folders, Pairing.all)
  func `its own test passes`(_ folder: String, _ pairing: Pairing) throws {
    let place = try Workplace()
    // The test starts its servers with the command `lua`.
    let command = try pairing.server.command().joined(separator: " ")
    try place.write("#!/bin/sh\nexec \(command) -l fixed_port \"$@\"\n", to: "lua")
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o755], ofItemAtPath: place.path + "/lua")
    let copy = place.path + "/original"
    try FileManager.default.copyItem(atPath: folder, toPath: copy)
    if pairing.words.last == "ssl" { try renewCertificate(in: copy, place) }
    let support = LuaHost.package + "/Tests/LuaTangoTests/Scripts/support"
    let environment = [
      "PATH": "\(place.path):/usr/bin:/bin", "LUA_PATH": "\(support)/?.lua;./?.lua;;",
      "TANGO_PORT": String(try freePort()),
    ]
    let outcome = try pairing.client.run(
      ["-l", "fixed_port", "test_client.lua"] + pairing.words, in: place, folder: copy,
      environment: environment)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output.contains("\n#TESTS\t15\n#OK\t15\n#FAILED\t0\n"), "\(outcome)")
  }

  /// Its key and its version of TLS are too old for today's OpenSSL.
  private func renewCertificate(in folder: String, _ place: Workplace) throws {
    let command = """
      cd '\(folder)' && openssl req -x509 -newkey rsa:2048 -nodes -keyout test_server.key \
        -out test_server.cert -days 1 -subj /CN=localhost && sed -i "s/'tlsv1'/'any'/" test_ssl_config.lua
      """
    let outcome = try place.run(.shell, ["-c", command])
    #expect(outcome.status == 0, "\(outcome)")
  }

  private func freePort() throws -> Int {
    let script = "print((select(2, assert(require 'socket'.bind('127.0.0.1', 0)):getsockname())))"
    let outcome = try LuaHost.milonga.run(["-e", script], in: Workplace())
    return try #require(Int(outcome.output.trimmingCharacters(in: .newlines)))
  }
}
