import MilongaNIOTestSupport
import MilongaRPC
import NIOCore
import Testing

@testable import Tango

/// What peers make a server hold, in total.
@Suite struct TangoHoldingTests {
  /// Messages that are never finished.
  @Test func unfinishedMessages() async throws {
    try await withHoldingServer { server, account in
      let peers = try await connect(20, to: server.port, reads: true)
      for peer in peers {
        try? await peer.writeAndFlush(frameBeginning(3_000_000, sent: 2_900_000)).get()
        #expect(account.bytes <= mostHeld)
      }
      try await eventually { server.log.all.contains { $0.contains("limits.maxBufferedBytes") } }
      // A client that sends a call is served meanwhile.
      let client = TangoClient(host: "127.0.0.1", port: server.port, configuration: .forTests)
      let text = String(repeating: "x", count: 300_000)
      for _ in 0..<20 { #expect(try await client.count(text) == 300_000) }
      for peer in peers { try? await peer.close() }
      try await eventually { account.bytes == 0 }
      #expect(try await client.count(String(repeating: "x", count: 3_000_000)) == 3_000_000)
      try await eventually { account.bytes == 0 }
      for line in server.log.all { #expect(line.contains("disconnected: it holds")) }
    }
  }

  /// Answers that are never read.
  @Test func unreadAnswers() async throws {
    try await withHoldingServer(frameBytes: 16 << 20, limit: 40 << 20) { server, account in
      let peers = try await connect(8, to: server.port, reads: false)
      for peer in peers { try await peer.writeAndFlush(frame("{\"big\",15000000}")).get() }
      try await eventually { server.log.all.count > 0 }
      #expect(account.bytes <= 66 << 20)
      let client = TangoClient(host: "127.0.0.1", port: server.port, configuration: .forTests)
      #expect(try await client.count("abc") == 3)
      for peer in peers { try? await peer.close() }
      try await eventually { account.bytes == 0 }
    }
  }

  /// Answers that wait for an earlier one, whose function does not end.
  @Test func answersThatWait() async throws {
    try await withHoldingServer(frameBytes: 16 << 20, limit: 40 << 20) { server, account in
      let peers = try await connect(8, to: server.port, reads: true)
      for peer in peers {
        try await peer.writeAndFlush(frame("{\"wait\",\"x\"}")).get()
        try await peer.writeAndFlush(frame("{\"big\",15000000}")).get()
        try await peer.writeAndFlush(frame("{\"big\",15000000}")).get()
      }
      try await eventually { server.log.all.count > 0 }
      #expect(account.bytes <= 66 << 20)
      let client = TangoClient(host: "127.0.0.1", port: server.port, configuration: .forTests)
      #expect(try await client.count("abc") == 3)
      server.gate.open()
      for peer in peers { try? await peer.close() }
      try await eventually { account.bytes == 0 }
      for line in server.log.all { #expect(line.contains("disconnected: it holds")) }
    }
  }

  /// A call that runs counts with its arguments, and is not ended.
  @Test func runningCalls() async throws {
    try await withHoldingServer { server, account in
      let text = String(repeating: "x", count: 3_000_000)
      let calls = (0..<4).map { _ in
        let client = TangoClient(host: "127.0.0.1", port: server.port, configuration: .forTests)
        return Task { () async throws -> Int in try await client.wait(text) }
      }
      await server.running.reach(4)
      try await eventually { account.bytes >= 12_000_000 }
      server.gate.open()
      for call in calls { #expect(try await call.value == 3_000_000) }
      try await eventually { account.bytes == 0 }
      #expect(server.log.all == [])
    }
  }

  /// Many clients that read in time hold nothing.
  @Test func thoseWhoRead() async throws {
    try await withHoldingServer { server, account in
      try await withThrowingTaskGroup { group in
        for _ in 0..<10 {
          group.addTask {
            let client = TangoClient(
              host: "127.0.0.1", port: server.port, configuration: .forTests)
            for _ in 0..<5 {
              let text: String = try await client.big(1_000_000)
              #expect(text.utf8.count == 1_000_000)
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(server.log.all == [])
      try await eventually { account.bytes == 0 }
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
  /// Calls of `wait` that have begun.
  let running: Tally
}

private func withHoldingServer(
  frameBytes: Int = 4 << 20, limit: Int = limit,
  _ body: (HoldingServer, BufferAccount) async throws -> Void
) async throws {
  let log = LogLines()
  let (gate, running) = (Gate(), Tally())
  var namespace = TangoNamespace()
  namespace.register("count") { (text: String) in text.utf8.count }
  namespace.register("big") { (count: Int) in String(repeating: "x", count: count) }
  namespace.register("wait") { (text: String) async -> Int in
    running.add()
    await gate.pass()
    return text.utf8.count
  }
  var configuration = TangoServer.Configuration.forTests
  configuration.limits.frameBytes = frameBytes
  configuration.limits.maxBufferedBytes = limit
  configuration.logger = log.logger
  let account = BufferAccount()
  let server = TangoServer(namespace, configuration: configuration, account: account)
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

private func frame(_ body: String) -> ByteBuffer {
  ByteBuffer(string: "\(body.utf8.count)\n\(body)")
}

/// A message of so many bytes, of which only the first ones come.
private func frameBeginning(_ bytes: Int, sent: Int) -> ByteBuffer {
  ByteBuffer(string: "\(bytes)\n{\"count\",\"" + String(repeating: "x", count: sent))
}
