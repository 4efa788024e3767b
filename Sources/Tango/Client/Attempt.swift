import NIOConnection
import NIOCore
import NIOPosix
import NIOSSL
import RPC

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
    let context = try configuration.tls.map { try NIOSSLContext(configuration: $0) }
    let channel = try await ClientBootstrap(group: eventLoop)
      .channelOption(.socketOption(.tcp_nodelay), value: 1)
      .connectTimeout(configuration.timeout.map { TimeAmount($0) } ?? .hours(24 * 365))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let context {
            let name = configuration.sslHostname ?? certificateName(host)
            try channel.pipeline.syncOperations.addHandler(
              try NIOSSLClientHandler(context: context, serverHostname: name))
          }
          try channel.pipeline.syncOperations.addHandler(
            TangoConnection(
              peer: peer, eventLoop: channel.eventLoop, limits: configuration.limits))
        }
      }
      .connect(host: host, port: port).get()
    return try await channel.pipeline.handler(type: TangoConnection.self).get()
  }
}
