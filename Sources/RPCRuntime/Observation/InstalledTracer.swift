package import Instrumentation
package import Tracing

extension InstrumentationSystem {
  /// The program's tracer; nil when it has installed none. Then no span is made.
  package static var installedTracer: (any Tracer)? {
    let tracer = tracer
    return tracer is NoOpTracer ? nil : tracer
  }
}
