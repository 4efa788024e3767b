import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix
package import NIOSSL

/// Makes connections.
package struct Connector: Sendable {
  private let host: String
  private let port: Int
  private let tls: TLSConfiguration?
  private let sslHostname: String?
  private let timeout: Duration?
  private let group: any EventLoopGroup

  /// - Parameters:
  ///   - sslHostname: what the certificate must name, unless it is the host.
  ///   - timeout: how long one connection may take, without the handshake of TLS; nil for no limit.
  package init(
    host: String, port: Int, tls: TLSConfiguration?, sslHostname: String?, timeout: Duration?,
    group: any EventLoopGroup
  ) {
    self.host = host
    self.port = port
    self.tls = tls
    self.sslHostname = sslHostname
    self.timeout = timeout
    self.group = group
  }

  /// The attempts that are under way: several addresses may be tried at once.
  private struct Attempts<Connection: Sendable>: Sendable {
    var all: [ObjectIdentifier: (channel: any Channel, connection: Connection)] = [:]
    var areCancelled = false
  }

  /// Connects. When the task is cancelled, nothing is left of it.
  ///
  /// - Parameter initialize: adds the handlers behind that of TLS.
  /// - Returns: what `initialize` has returned for the channel that is connected.
  package func connect<Connection: Sendable>(
    _ initialize: @escaping @Sendable (any Channel) throws -> Connection
  ) async throws -> Connection {
    let context = try tls.map { try NIOSSLContext(configuration: $0) }
    let attempts = NIOLockedValueBox(Attempts<Connection>())
    let bootstrap = ClientBootstrap(group: group)
      .channelOption(.socketOption(.tcp_nodelay), value: 1)
      .connectTimeout(timeout.map { TimeAmount($0) } ?? .hours(24 * 365))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let context {
            try channel.pipeline.syncOperations.addHandler(
              try NIOSSLClientHandler(context: context, serverHostname: certificateName))
          }
          let connection = try initialize(channel)
          try attempts.withLockedValue {
            if $0.areCancelled { throw CancellationError() }
            $0.all[ObjectIdentifier(channel)] = (channel, connection)
          }
        }
      }
    return try await withTaskCancellationHandler {
      let channel = try await bootstrap.connect(host: host, port: port).get()
      return attempts.withLockedValue { $0.all[ObjectIdentifier(channel)]!.connection }
    } onCancel: {
      let channels = attempts.withLockedValue {
        $0.areCancelled = true
        return $0.all.values.map(\.channel)
      }
      for channel in channels { channel.close(promise: nil) }
    }
  }

  /// What the certificate must name. An address is no name.
  private var certificateName: String? {
    if let sslHostname { return sslHostname }
    let isAddress = (try? SocketAddress(ipAddress: host, port: port)) != nil
    return isAddress ? nil : host
  }
}

/// Why no connection was made, in one line.
package func connectionFailure(_ error: any Error) -> String {
  guard let error = error as? NIOConnectionError else { return "\(error)" }
  let lookUp = [error.dnsAError, error.dnsAAAAError].compactMap { $0.map { "\($0)" } }
  let attempts = error.connectionErrors.map { "\($0.error)" }
  return (attempts.isEmpty ? lookUp : attempts).joined(separator: "; ")
}
