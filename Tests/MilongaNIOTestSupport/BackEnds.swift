public import InMemoryTracing
import Instrumentation
import Metrics
public import MetricsTestKit

/// The metrics and tracing back ends of the tests. A process has one of each, for all that is made
/// from the first use on.
public struct BackEnds: Sendable {
  public let metrics = TestMetrics()
  public let tracer = InMemoryTracer()

  public static let installed = BackEnds()

  private init() {
    MetricsSystem.bootstrap(metrics)
    InstrumentationSystem.bootstrap(tracer)
  }
}
