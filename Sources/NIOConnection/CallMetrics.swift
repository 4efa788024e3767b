import Metrics
import NIOConcurrencyHelpers

/// Counts and times of the functions that peers call, for swift-metrics: `<protocol>.server.calls` (by function and
/// outcome) and `<protocol>.server.call.duration` (by function).
package final class CallMetrics: Sendable {
  private struct Function {
    let succeeded: Counter
    let failed: Counter
    let duration: Metrics.Timer
  }

  private let prefix: String
  private let functions = NIOLockedValueBox<[String: Function]>([:])

  /// nil when the program has no metrics back end: then nothing is counted, and no clock read.
  package static func make(_ protocolName: String) -> CallMetrics? {
    hasMetrics ? CallMetrics(protocolName) : nil
  }

  private init(_ protocolName: String) { prefix = "\(protocolName).server" }

  package func record(_ path: String, nanoseconds: Int64, succeeded: Bool) {
    let function = functions.withLockedValue { functions in
      if let known = functions[path] { return known }
      let new = Function(
        succeeded: counter(path, "ok"), failed: counter(path, "error"),
        duration: Timer(label: "\(prefix).call.duration", dimensions: [("function", path)]))
      functions[path] = new
      return new
    }
    (succeeded ? function.succeeded : function.failed).increment()
    function.duration.recordNanoseconds(nanoseconds)
  }

  private func counter(_ path: String, _ outcome: String) -> Counter {
    Counter(label: "\(prefix).calls", dimensions: [("function", path), ("outcome", outcome)])
  }
}

/// Whether the program has a metrics back end.
var hasMetrics: Bool { !(MetricsSystem.factory is NOOPMetricsHandler) }
