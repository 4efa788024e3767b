import NIOCore
import NIOPosix
import NIOTestSupport
import Tango
import Testing

/// One client's batch of calls that compute, on the event loop of other clients.
@Suite struct TangoTurnTests {
  /// A server on one event loop, with functions that compute for 5 ms each and count.
  private func withServer(
    _ begun: Tally, _ body: (TangoServer, Int) async throws -> Void
  ) async throws {
    var namespace = TangoNamespace()
    namespace.register("burn") { () -> Int in burn(begun) }
    namespace.register("burnLater") { () async -> Int in burn(begun) }
    namespace.register("add") { (a: Int, b: Int) in a + b }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var configuration = TangoServer.Configuration.forTests
    configuration.eventLoopGroup = group
    let server = TangoServer(namespace, configuration: configuration)
    let port = try await server.start()
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await body(server, port))
    } catch {
      outcome = .failure(error)
    }
    await server.shutDown()
    try await group.shutdownGracefully()
    try outcome.get()
  }

  @Test(arguments: ["burn", "burnLater"])
  func othersAreServedBetween(_ function: String) async throws {
    let begun = Tally()
    try await withServer(begun) { _, port in
      let busy = TangoClient(host: "127.0.0.1", port: port, configuration: .forTests)
      let other = TangoClient(host: "127.0.0.1", port: port, configuration: .forTests)
      #expect(try await other.add(1, 2) == 3)
      let calls = 200
      let answers = (0..<calls).map { _ in Task { try await busy[path: function]() } }
      await begun.reach(1)
      var most = 0
      for _ in 0..<5 {
        let before = begun.count
        #expect(try await other.add(1, 2) == 3)
        most = max(most, begun.count - before)
      }
      // Its five calls are done long before the batch, whose calls take a second.
      #expect(begun.count < calls)
      #expect(most < calls / 4)
      var results: [Int] = []
      for answer in answers { results.append(try #require(Int(try await answer.value))) }
      #expect(results.sorted() == Array(1...calls))
    }
  }

  @Test func answersLeaveBeforeTheBatchIsDone() async throws {
    let begun = Tally()
    try await withServer(begun) { _, port in
      let busy = TangoClient(host: "127.0.0.1", port: port, configuration: .forTests)
      let answers = (0..<200).map { _ in Task { try await busy.burn() } }
      await begun.reach(1)
      let first = Tally()
      for answer in answers { Task { if (try? await answer.value) != nil { first.add() } } }
      await first.reach(1)
      #expect(begun.count < 200)
      for answer in answers { _ = try await answer.value }
    }
  }

  @Test func severalBusyClientsAtOnce() async throws {
    let begun = Tally()
    try await withServer(begun) { _, port in
      let busy = (0..<4).map { _ in
        TangoClient(host: "127.0.0.1", port: port, configuration: .forTests)
      }
      let other = TangoClient(host: "127.0.0.1", port: port, configuration: .forTests)
      #expect(try await other.add(1, 2) == 3)
      let answers = busy.flatMap { client in
        (0..<50).map { _ in Task { try await client.burn() } }
      }
      await begun.reach(1)
      #expect(try await other.add(1, 2) == 3)
      #expect(begun.count < 200)
      for answer in answers { _ = try await answer.value }
    }
  }

  /// A client may send its calls and go.
  @Test func aClientThatLeavesHasItsCalls() async throws {
    let begun = Tally()
    try await withServer(begun) { _, port in
      let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port).get()
      let call = "8\n{\"burn\"}"
      try await channel.writeAndFlush(ByteBuffer(string: String(repeating: call, count: 50)))
      try await channel.close()
      await begun.reach(50)
    }
  }
}

/// Computes for 5 ms, and counts.
private func burn(_ begun: Tally) -> Int {
  begun.add()
  let clock = ContinuousClock()
  let end = clock.now.advanced(by: .milliseconds(5))
  while clock.now < end {}
  return begun.count
}
