import Logging

/// Reports peers that break the protocol: one line each, on standard error.
package struct PeerLog: Sendable {
  private let logger: Logger

  /// - Parameter label: the module's name, which each line has.
  package init(label: String) {
    logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
  }

  /// A peer was, or will be, disconnected.
  package func disconnected(_ peer: String, _ reason: String) {
    logger.warning("\(peer): disconnected: \(reason)")
  }

  /// Another problem with a peer.
  package func warn(_ peer: String, _ text: String) { logger.warning("\(peer): \(text)") }
}
