import Metrics
import NIOConcurrencyHelpers
import NIOCore

/// Counts and times of the functions that peers call, for swift-metrics: `tango.server.calls` (by function and
/// outcome), `tango.server.call.duration` (by function), `tango.server.connections`.
final class CallMetrics: Sendable {
  /// nil when the program has no metrics back end: then nothing is counted, and no clock read.
  static func make() -> CallMetrics? {
    MetricsSystem.factory is NOOPMetricsHandler ? nil : CallMetrics()
  }

  private struct Function {
    let succeeded: Counter
    let failed: Counter
    let duration: Metrics.Timer
  }

  private let functions = NIOLockedValueBox<[String: Function]>([:])
  private let connections = Gauge(label: "tango.server.connections")

  func record(_ path: String, nanoseconds: Int64, succeeded: Bool) {
    let function = functions.withLockedValue { functions in
      if let known = functions[path] { return known }
      let new = Function(
        succeeded: counter(path, "ok"), failed: counter(path, "error"),
        duration: Timer(
          label: "tango.server.call.duration", dimensions: [("function", path)]))
      functions[path] = new
      return new
    }
    (succeeded ? function.succeeded : function.failed).increment()
    function.duration.recordNanoseconds(nanoseconds)
  }

  func connected(_ count: Int) { connections.record(count) }

  private func counter(_ path: String, _ outcome: String) -> Counter {
    Counter(
      label: "tango.server.calls", dimensions: [("function", path), ("outcome", outcome)])
  }
}
