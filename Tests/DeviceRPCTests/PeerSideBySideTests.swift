import MilongaNIOTestSupport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import DeviceRPC

/// How many calls of the other side run at a time.
@Suite struct PeerSideBySideTests {
  private func configuration(_ concurrency: CallConcurrency) -> RPCServer.Configuration {
    var configuration = RPCServer.Configuration.forTests
    configuration.concurrency = concurrency
    configuration.logger.logLevel = .critical
    return configuration
  }

  @Test(arguments: [(CallConcurrency.sideBySide(limit: 4), 4), (.ordered, 1)])
  func theLimit(_ concurrency: CallConcurrency, most: Int) async throws {
    let meter = Meter()
    try await withPeers(configuration(concurrency)) {
      $0.register("pass") { (n: Int) async -> Int in
        let number = meter.begin()
        await meter.may.reach(number)
        meter.end()
        return n
      }
    } _: { (peer, _) async throws in
      let calls = (0..<20).map { n in Task { () async throws -> Int in try await peer.pass(n) } }
      for n in 1...20 {
        await meter.begun.reach(min(20, n - 1 + most))
        meter.may.add()
      }
      for (n, call) in calls.enumerated() { #expect(try await call.value == n) }
      #expect(meter.highest == most)
    }
  }

  /// A function that does not wait waits for its turn, too.
  @Test func ordered() async throws {
    let meter = Meter()
    try await withPeers(configuration(.ordered)) {
      $0.register("wait") { () async -> Int in
        _ = meter.begin()
        for _ in 0..<20 { await Task.yield() }
        meter.end()
        return 0
      }
      $0.register("running") { meter.running }
    } _: { (peer, _) async throws in
      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for n in 0..<100 {
          group.addTask { n % 2 == 0 ? try await peer.wait() : try await peer.running() }
        }
        return try await group.reduce(0, +)
      }
      #expect(sum == 0)
      #expect(meter.highest == 1)
    }
  }

  /// Answers that a function waits for are read while calls wait for that function.
  @Test func callingBack() async throws {
    try await withPeers(configuration(.ordered)) {
      $0.register("ask") { (n: Int) async throws -> Int in
        try await RPCPeer.current!.twice(n)
      }
    } and: {
      $0.register("twice") { (n: Int) in 2 * n }
    } _: { (peer, _) async throws in
      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for n in 1...100 { group.addTask { try await peer.ask(n) } }
        return try await group.reduce(0, +)
      }
      #expect(sum == 10_100)
    }
  }

  /// What runs is answered. What waits is told why it does not run.
  @Test func shuttingDown() async throws {
    let meter = Meter()
    try await withPeers(configuration(.ordered)) {
      $0.register("pass") { () async -> Int in
        let number = meter.begin()
        await meter.may.reach(1)
        meter.end()
        return number
      }
    } _: { (peer, server) async throws in
      let first = Task { () async throws -> Int in try await peer.pass() }
      await meter.begun.reach(1)
      let others = (0..<3).map { _ in Task { () async throws -> Int in try await peer.pass() } }
      let connection = try #require(server.peers.first).connection
      try await eventually {
        try await connection.eventLoop.submit { connection.waitingCalls.count }.get() == 3
      }
      async let isDown: Void = server.shutDown()
      // The listener closes first, and then the connections are told.
      try await eventually { await !canConnect(peer.address!.port!) }
      meter.may.add()
      #expect(try await first.value == 1)
      for call in others { await #expect(throws: (any Error).self) { try await call.value } }
      await isDown
    }
  }

  /// No more calls can wait than the protocol has numbers.
  @Test func tooManyWait() async throws {
    let begun = Tally()
    try await withPeers(configuration(.ordered)) {
      $0.register("f") { () async throws -> Int in
        begun.add()
        try await Task.sleep(for: .seconds(600))
        return 1
      }
    } _: { (peer, _) async throws in
      let call: [UInt8] = [0, 1, 0, 0, 0, 4, 4, 0, 1, UInt8(ascii: "f")]
      let socket = try await connectRaw(to: peer.address!.port!, reads: true)
      try await socket.writeAndFlush(
        ByteBuffer(bytes: [[UInt8]](repeating: call, count: 257).joined())
      ).get()
      try? await socket.closeFuture.get()
      await begun.reach(1)
      #expect(begun.count == 1)
      #expect(peer.isOpen)
    }
  }
}

/// Counts functions that run.
private final class Meter: Sendable {
  let begun = Tally()
  let may = Tally()
  private let counts = NIOLockedValueBox((begun: 0, running: 0, highest: 0))

  var running: Int { counts.withLockedValue { $0.running } }
  var highest: Int { counts.withLockedValue { $0.highest } }

  /// - Returns: how many have begun.
  func begin() -> Int {
    let number = counts.withLockedValue { counts in
      counts.begun += 1
      counts.running += 1
      counts.highest = max(counts.highest, counts.running)
      return counts.begun
    }
    begun.add()
    return number
  }

  func end() { counts.withLockedValue { $0.running -= 1 } }
}

private func canConnect(_ port: Int) async -> Bool {
  guard let channel = try? await connectRaw(to: port, reads: false) else { return false }
  try? await channel.close()
  return true
}
