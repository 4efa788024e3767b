import DeviceRPC
import MilongaNIOTestSupport
import NIOCore
import NIOPosix
import Testing

/// One peer's batch of calls that compute, on the event loop of other peers.
@Suite(.timeLimit(.minutes(5))) struct PeerTurnTests {
  private func calls(computing function: String = "compute") -> Batch.Calls {
    func call(_ name: String) -> [UInt8] {
      let count = UInt8(name.utf8.count)
      return [0, 1, 0, 0, 0, count + 3, 4, 0, count] + Array(name.utf8)
    }
    return Batch.Calls(hold: call("hold"), compute: call(function), mark: call("mark"))
  }

  /// A server on one event loop.
  private func withServer(_ batch: Batch, _ body: (Int) async throws -> Void) async throws {
    var namespace = RPCNamespace()
    namespace.register("hold") { batch.hold() }
    namespace.register("compute") { batch.compute() }
    namespace.register("computeLater") { () async -> Int in batch.compute() }
    namespace.register("mark") { batch.mark() }
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

  @Test(arguments: ["compute", "computeLater"])
  func othersAreServedBetween(_ function: String) async throws {
    let batch = Batch()
    try await withServer(batch) { port in
      let before = try await batch.computationsBeforeAnother(
        port: port, computations: 200, calls(computing: function))
      #expect(before < 20)
    }
  }

  @Test func answersLeaveBeforeTheBatchIsDone() async throws {
    let batch = Batch()
    try await withServer(batch) { port in
      try await batch.answersLeaveBeforeTheEnd(port: port, computations: 50, calls())
    }
  }

  /// A peer may send its calls and go.
  @Test func aPeerThatLeavesHasItsCalls() async throws {
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
