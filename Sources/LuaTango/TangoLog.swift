import Logging

/// Where servers tell of peers that break the protocol: one line each, on standard error.
struct TangoLog {
  private let logger: Logger

  init() {
    logger = Logger(label: "tango") { StreamLogHandler.standardError(label: $0) }
  }

  /// A peer was, or will be, disconnected.
  func disconnected(_ peer: String, _ reason: String) {
    logger.warning("\(peer): disconnected: \(reason)")
  }
}
