import MilongaNIOTestSupport
import NIOCore
import NIOPosix
import Tango
import Testing

/// One client's batch of calls that compute, on the event loop of other clients.
@Suite(.timeLimit(.minutes(5))) struct TangoTurnTests {
  private func calls(computing function: String = "compute") -> Batch.Calls {
    func call(_ name: String) -> [UInt8] { Array("\(name.utf8.count + 4)\n{\"\(name)\"}".utf8) }
    return Batch.Calls(hold: call("hold"), compute: call(function), mark: call("mark"))
  }

  /// A server on one event loop.
  private func withServer(_ batch: Batch, _ body: (Int) async throws -> Void) async throws {
    var namespace = TangoNamespace()
    namespace.register("hold") { batch.hold() }
    namespace.register("compute") { batch.compute() }
    namespace.register("computeLater") { () async -> Int in batch.compute() }
    namespace.register("mark") { batch.mark() }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var configuration = TangoServer.Configuration.forTests
    configuration.eventLoopGroup = group
    let server = TangoServer(namespace, configuration: configuration)
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

  @Test(arguments: ["compute", "computeLater"])
  func othersAreServedBetween(_ function: String) async throws {
    let batch = Batch()
    try await withServer(batch) { port in
      let before = try await batch.computationsBeforeAnother(
        port: port, computations: 200, calls(computing: function))
      #expect(before < 20)
    }
  }

  @Test func severalBusyClientsAtOnce() async throws {
    let batch = Batch()
    try await withServer(batch) { port in
      let before = try await batch.computationsBeforeAnother(
        port: port, clients: 4, computations: 50, calls())
      #expect(before < 40)
    }
  }

  @Test func answersLeaveBeforeTheBatchIsDone() async throws {
    let batch = Batch()
    try await withServer(batch) { port in
      try await batch.answersLeaveBeforeTheEnd(port: port, computations: 50, calls())
    }
  }

  /// A client may send its calls and go.
  @Test func aClientThatLeavesHasItsCalls() async throws {
    let batch = Batch()
    try await withServer(batch) { port in
      let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port).get()
      let bytes = Array([[UInt8]](repeating: calls().compute, count: 50).joined())
      try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
      try await channel.close()
      await batch.begun.reach(50)
    }
  }
}
