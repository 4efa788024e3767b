import Foundation
import MilongaNIOTestSupport
import MilongaTestSupport
import Testing

/// The programs of `Examples/` that have a part in Swift.
@Suite struct ExampleTests {
  private static let examples =
    URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    + "/Examples"
  /// Where what was built is.
  private static let products = URL(fileURLWithPath: Program.milonga.path)
    .deletingLastPathComponent().path

  /// Starts a server that prints its port, and runs a client with that as its argument.
  private func play(server: String, client: String) async throws -> Outcome {
    let program = try OtherProgram(.shell, ["-c", "exec \(server) 0"], in: Workplace())
    let port = try await program.port(in: "stdout")
    return try await Workplace().runAside(.shell, ["-c", "exec \(client) \(port)"])
  }

  @Test func aSwiftServerCalledByLua() async throws {
    let outcome = try await play(
      server: "\(Self.products)/swift-server",
      client: "\(Program.milonga.path) \(Self.examples)/swift-server/client.lua")
    #expect(
      outcome.output == """
        Hello, Horst
        17 / 5\t3\trest\t2
        false\tdivision by zero
        false\tmath.divide: argument #1: expected Int, got string
        1944\tFicciones
        1949\tEl Aleph
        2\tFicciones, El Aleph

        """, "\(outcome)")
  }

  @Test func aLuaServerCalledBySwift() async throws {
    let outcome = try await play(
      server: "\(Program.milonga.path) \(Self.examples)/swift-client/server.lua",
      client: "\(Self.products)/swift-client")
    let lines = outcome.output.split(separator: "\n").map(String.init)
    try #require(lines.count == 8, "\(outcome)")
    #expect(lines[0] == "3 books")
    #expect(Set(lines[1...3]) == ["1 before 1950", "2 before 1960", "3 before 1970"])
    #expect(lines[4...6] == ["Ficciones", "Rayuela", "Zama"])
    #expect(lines[7].hasSuffix("attempt to compare number with string"))
  }

  @Test func rulesInLua() async throws {
    let call = """
      local con = require 'tango'.client.socket.connect { port = tonumber(arg[1]) }
      print(con.price { items = { { name = 'yerba', price = 5, count = 12 } } })
      print(pcall(con.price, { items = { { name = 'yerba', price = 5, count = 0 } } }))
      """
    let place = try Workplace()
    try place.write(call, to: "call.lua")
    let outcome = try await play(
      server: "\(Self.products)/swift-rules",
      client: "\(Program.milonga.path) \(place.path)/call.lua")
    #expect(outcome.output == "57.0\nfalse\tyerba: a count of 0\n", "\(outcome)")
  }
}
