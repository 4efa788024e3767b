import Instrumentation
import Metrics
import NIOConcurrencyHelpers
package import NIOCore
import Tracing

/// Tells the program's back ends of the calls that are served. For swift-metrics:
/// `<protocol>.server.calls` (by function and outcome) and `<protocol>.server.call.duration` (by
/// function). For swift-distributed-tracing: a span for each call.
package final class CallObserver: Sendable {
  private struct Function {
    let succeeded: Counter
    let failed: Counter
    let duration: Metrics.Timer
  }

  private let prefix: String
  /// nil when the program has no metrics back end: then nothing is counted, and no clock read.
  private let functions: NIOLockedValueBox<[String: Function]>?
  private let tracer: (any Tracer)?
  /// Whether calls have spans.
  package let isTracing: Bool

  package init(_ protocolName: String) {
    prefix = "\(protocolName).server"
    functions = hasMetrics ? NIOLockedValueBox([:]) : nil
    tracer = InstrumentationSystem.installedTracer
    isTracing = tracer != nil
  }

  /// When a call begins, for ``record(_:since:succeeded:)``.
  package func begin() -> NIODeadline { functions == nil ? .distantPast : .now() }

  package func record(_ path: String, since begin: NIODeadline, succeeded: Bool) {
    guard let functions else { return }
    let function = functions.withLockedValue { functions in
      if let known = functions[path] { return known }
      let new = Function(
        succeeded: counter(path, "ok"), failed: counter(path, "error"),
        duration: Timer(label: "\(prefix).call.duration", dimensions: [("function", path)]))
      functions[path] = new
      return new
    }
    (succeeded ? function.succeeded : function.failed).increment()
    function.duration.recordNanoseconds((NIODeadline.now() - begin).nanoseconds)
  }

  private func counter(_ path: String, _ outcome: String) -> Counter {
    Counter(label: "\(prefix).calls", dimensions: [("function", path), ("outcome", outcome)])
  }

  /// Runs a function in its span.
  package func withSpan<R>(_ path: String, _ body: () throws -> R) rethrows -> R {
    guard let tracer else { return try body() }
    return try tracer.withSpan(path, ofKind: .server) { _ in try body() }
  }

  /// The same for an async one.
  package func withSpan<R: Sendable>(
    _ path: String, _ body: @Sendable () async throws -> R
  ) async rethrows -> R {
    guard let tracer else { return try await body() }
    return try await tracer.withSpan(path, ofKind: .server) { _ in try await body() }
  }
}

/// Whether the program has a metrics back end.
var hasMetrics: Bool { !(MetricsSystem.factory is NOOPMetricsHandler) }
