import DeviceRPC
import MetricsTestKit
import MilongaNIOTestSupport
import MilongaRPC
import Testing

/// What a program's metrics and tracing back ends are told.
@Suite struct PeerObservationTests {
  @Test func countsTimesAndSpans() async throws {
    let metrics = BackEnds.installed.metrics
    let tracer = BackEnds.installed.tracer
    try await withPeers {
      $0.register("peer.fine") { 1 }
      $0.register("peer.broken") { () async throws -> Int in
        throw RPCRemoteError(path: "", value: "no")
      }
      $0.register("peer.picky") { (n: Int) async -> Int in n }
    } and: {
      $0.register("peer.called") { () async -> Int in 1 }
    } _: { (peer, server) async throws in
      for _ in 1...3 { try await peer[path: "peer.fine"]() }
      await #expect(throws: RPCRemoteError.self) { try await peer[path: "peer.broken"]() }
      await #expect(throws: RPCRemoteError.self) { try await peer[path: "peer.picky"]("x") }
      // The side that has connected serves, too.
      try await server.accepted(peer)[path: "peer.called"]()
    }

    func count(_ function: String, _ outcome: String) throws -> Int64 {
      try metrics.expectCounter(
        "rpc.server.calls", [("function", function), ("outcome", outcome)]
      ).totalValue
    }
    #expect(try count("peer.fine", "ok") == 3)
    #expect(try count("peer.broken", "error") == 1)
    #expect(try count("peer.picky", "error") == 1)
    #expect(try count("peer.called", "ok") == 1)
    let timer = try metrics.expectTimer(
      "rpc.server.call.duration", [("function", "peer.fine")])
    #expect(timer.values.count == 3)
    #expect(timer.values.allSatisfy { $0 > 0 })
    #expect(try metrics.expectGauge("rpc.server.connections").values.contains(1))

    let spans = tracer.finishedSpans.filter { $0.operationName.hasPrefix("peer.") }
    #expect(spans.count { $0.operationName == "peer.fine" && $0.kind == .client } == 3)
    #expect(spans.count { $0.operationName == "peer.fine" && $0.kind == .server } == 3)
    #expect(spans.count { $0.operationName == "peer.called" } == 2)
    let broken = spans.filter { $0.operationName == "peer.broken" }
    #expect(Set(broken.map(\.kind)) == [.client, .server])
    #expect(broken.allSatisfy { $0.errors.count == 1 })
  }
}
