import MilongaNIOTestSupport
import MilongaRPC
import NIOCore
import Testing

@testable import DeviceRPC

/// What peers make a server hold, in total.
@Suite struct PeerHoldingTests {
  /// Messages that are never finished.
  @Test func unfinishedMessages() async throws {
    try await withHoldingServer { server, account in
      let peers = try await connect(20, to: server.port, reads: true)
      for peer in peers {
        try? await peer.writeAndFlush(callBeginning(3_000_000, sent: 2_900_000)).get()
        #expect(account.bytes <= mostHeld)
      }
      try await eventually { server.log.all.contains { $0.contains("limits.maxBufferedBytes") } }
      // A peer that calls is served meanwhile.
      let client = try await RPCPeer.connect(
        host: "127.0.0.1", port: server.port, configuration: .forTests)
      let text = String(repeating: "x", count: 60_000)
      for _ in 0..<20 { #expect(try await client.count(text) == 60_000) }
      for peer in peers { try? await peer.close() }
      try await eventually { account.bytes == 0 }
      #expect(try await client.count("abc") == 3)
      for line in server.log.all { #expect(line.contains("disconnected: it holds")) }
      client.close()
    }
  }

  /// Answers that are never read, though each of them is small.
  @Test func unreadAnswers() async throws {
    try await withHoldingServer { server, account in
      // 200 answers of 60 KB to each, which is more than the system keeps.
      let peers = try await connect(12, to: server.port, reads: false)
      for peer in peers {
        for sequence in 0..<200 {
          peer.write(call(UInt8(sequence), "late", 60_000), promise: nil)
        }
        try await peer.writeAndFlush(ByteBuffer()).get()
      }
      await server.running.reach(12 * 200)
      server.gate.open()
      try await eventually { server.log.all.count > 0 }
      let client = try await RPCPeer.connect(
        host: "127.0.0.1", port: server.port, configuration: .forTests)
      #expect(try await client.count("abc") == 3)
      for peer in peers { try? await peer.close() }
      try await eventually { account.bytes == 0 }
      client.close()
    }
  }
}

private let limit = 16 << 20
/// The limit, and what lies beyond it while another event loop has not yet disconnected its
/// largest: a half, and what each event loop reads in one turn.
private let mostHeld = 5 * limit / 2

private struct HoldingServer {
  let port: Int
  let log: LogLines
  let gate: Gate
  /// Calls of `late` that have begun.
  let running: Tally
}

private func withHoldingServer(
  _ body: (HoldingServer, BufferAccount) async throws -> Void
) async throws {
  let log = LogLines()
  let (gate, running) = (Gate(), Tally())
  var namespace = RPCNamespace()
  namespace.register("count") { (text: String) in text.utf8.count }
  namespace.register("late") { (count: Int) async -> String in
    running.add()
    await gate.pass()
    return String(repeating: "x", count: count)
  }
  var configuration = RPCServer.Configuration.forTests
  configuration.limits.frameBytes = 4 << 20
  configuration.limits.maxBufferedBytes = limit
  configuration.logger = log.logger
  let account = BufferAccount()
  let server = RPCServer(namespace, configuration: configuration, account: account)
  let port = try await server.start()
  let outcome: Result<Void, any Error>
  do {
    outcome = .success(
      try await body(HoldingServer(port: port, log: log, gate: gate, running: running), account))
  } catch {
    outcome = .failure(error)
  }
  await server.shutDown()
  try outcome.get()
}

private func connect(_ count: Int, to port: Int, reads: Bool) async throws -> [any Channel] {
  var peers: [any Channel] = []
  for _ in 0..<count { peers.append(try await connectRaw(to: port, reads: reads)) }
  return peers
}

private func header(_ sequence: UInt8, _ bytes: Int) -> [UInt8] {
  [0, sequence] + (0..<4).map { UInt8(truncatingIfNeeded: bytes >> (24 - 8 * $0)) }
}

/// A call of a function with one number.
private func call(_ sequence: UInt8, _ name: String, _ number: Int) -> ByteBuffer {
  let payload =
    [4, 0, UInt8(name.utf8.count)] + Array(name.utf8) + [7]
    + (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
  return ByteBuffer(bytes: header(sequence, payload.count) + payload)
}

/// A message of so many bytes, of which only the first ones come.
private func callBeginning(_ bytes: Int, sent: Int) -> ByteBuffer {
  ByteBuffer(bytes: header(0, bytes) + [UInt8](repeating: 4, count: sent))
}
