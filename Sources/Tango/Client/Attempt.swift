import MilongaRPC
import NIOCore
import RPCRuntime

/// Makes a connection.
struct Attempt: Sendable {
  let host: String
  let port: Int
  let configuration: TangoClient.Configuration
  let eventLoop: any EventLoop

  private static let shortestPause = Duration.milliseconds(50)
  private static let longestPause = Duration.seconds(5)

  var peer: String { peerName(host, port) }

  /// - Throws: ``TangoError/connectFailed(peer:reason:)``, `CancellationError`.
  func connect() async throws -> TangoConnection {
    let clock = ContinuousClock()
    let deadline = configuration.timeout.map { clock.now + $0 }
    var pause = Self.shortestPause
    while true {
      do {
        return try await once()
      } catch {
        try Task.checkCancellation()
        let hasTime = deadline.map { clock.now + pause < $0 } ?? true
        guard configuration.reconnects, hasTime else {
          throw TangoError.connectFailed(peer: peer, reason: connectionFailure(error))
        }
        try await clock.sleep(for: pause)
        pause = min(pause * 2, Self.longestPause)
      }
    }
  }

  private func once() async throws -> TangoConnection {
    try await Connector(
      host: host, port: port, tls: configuration.tls, sslHostname: configuration.sslHostname,
      timeout: configuration.timeout, group: eventLoop
    ).connect { channel in
      let connection = TangoConnection(
        peer: peer, eventLoop: channel.eventLoop, limits: configuration.limits)
      try channel.pipeline.syncOperations.addHandler(connection)
      return connection
    }
  }
}
