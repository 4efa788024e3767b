import MetricsTestKit
import MilongaNIOTestSupport
import MilongaRPC
import Tango
import Testing

/// What a program's metrics and tracing back ends are told.
@Suite struct TangoObservationTests {
  @Test func countsTimesAndSpans() async throws {
    let metrics = BackEnds.installed.metrics
    let tracer = BackEnds.installed.tracer
    try await withTango {
      $0.register("observed.fine") { 1 }
      $0.register("observed.broken") { () async throws -> Int in
        throw TangoRemoteError(path: "", value: "no")
      }
    } _: { (con) async throws in
      for _ in 1...3 { try await con.observed.fine() }
      await #expect(throws: TangoRemoteError.self) { try await con.observed.broken() }
    }

    func count(_ function: String, _ outcome: String) throws -> Int64 {
      try metrics.expectCounter(
        "tango.server.calls", [("function", function), ("outcome", outcome)]
      ).totalValue
    }
    #expect(try count("observed.fine", "ok") == 3)
    #expect(try count("observed.broken", "error") == 1)
    let timer = try metrics.expectTimer(
      "tango.server.call.duration", [("function", "observed.fine")])
    #expect(timer.values.count == 3)
    #expect(timer.values.allSatisfy { $0 > 0 })

    let spans = tracer.finishedSpans.filter { $0.operationName.hasPrefix("observed.") }
    #expect(spans.count { $0.operationName == "observed.fine" && $0.kind == .client } == 3)
    #expect(spans.count { $0.operationName == "observed.fine" && $0.kind == .server } == 3)
    let broken = spans.filter { $0.operationName == "observed.broken" }
    #expect(Set(broken.map(\.kind)) == [.client, .server])
    #expect(broken.allSatisfy { $0.errors.count == 1 })
  }
}
