import DeviceRPC
import NIOCore
import NIOPosix
import NIOTestSupport
import Testing

/// One peer's batch of calls that compute, on the event loop of other peers.
@Suite struct PeerTurnTests {
  private func withServer(_ begun: Tally, _ body: (Int) async throws -> Void) async throws {
    var namespace = RPCNamespace()
    namespace.register("burn") { () -> Int in
      begun.add()
      let clock = ContinuousClock()
      let end = clock.now.advanced(by: .milliseconds(5))
      while clock.now < end {}
      return begun.count
    }
    namespace.register("add") { (a: Int, b: Int) in a + b }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var configuration = RPCServer.Configuration.forTests
    configuration.eventLoopGroup = group
    let server = RPCServer(namespace, configuration: configuration)
    let port = try await server.start()
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await body(port))
    } catch {
      outcome = .failure(error)
    }
    await server.shutDown()
    try await group.shutdownGracefully()
    try outcome.get()
  }

  @Test func othersAreServedBetween() async throws {
    let begun = Tally()
    try await withServer(begun) { port in
      let busy = try await RPCPeer.connect(
        host: "127.0.0.1", port: port, configuration: .forTests)
      let other = try await RPCPeer.connect(
        host: "127.0.0.1", port: port, configuration: .forTests)
      #expect(try await other.add(1, 2) == 3)
      let calls = 200
      let answers = (0..<calls).map { _ in Task { try await busy.burn() } }
      await begun.reach(1)
      var most = 0
      for _ in 0..<5 {
        let before = begun.count
        #expect(try await other.add(1, 2) == 3)
        most = max(most, begun.count - before)
      }
      #expect(begun.count < calls)
      #expect(most < calls / 4)
      for answer in answers { _ = try await answer.value }
      #expect(begun.count == calls)
      busy.close()
      other.close()
    }
  }

  /// A peer may send its calls and go.
  @Test(.timeLimit(.minutes(1))) func aPeerThatLeavesHasItsCalls() async throws {
    let begun = Tally()
    try await withServer(begun) { port in
      let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port).get()
      let call: [UInt8] = [0, 1, 0, 0, 0, 7, 4, 0, 4] + Array("burn".utf8)
      let batch = Array([[UInt8]](repeating: call, count: 50).joined())
      try await channel.writeAndFlush(ByteBuffer(bytes: batch))
      try await channel.close()
      await begun.reach(50)
    }
  }
}
