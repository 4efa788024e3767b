package import Logging
import Metrics
import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix
package import NIOSSL
import ServiceLifecycle

/// What the configurations of servers have in common.
package protocol ListenerConfiguration: Sendable {
  var host: String { get }
  /// 0 for any free port.
  var port: Int { get }
  var tls: TLSConfiguration? { get }
  /// Connections at a time; further ones are closed at once.
  var maxConnections: Int { get }
  /// Connections that are silent for so long are told so (`IdleStateHandler`); nil for never.
  var idleTimeout: Duration? { get }
  /// How long calls may take to finish when the server shuts down.
  var shutdownGrace: Duration { get }
  var logger: Logger { get }
  var eventLoopGroup: (any EventLoopGroup)? { get }
}

/// A connection as its listener sees it.
package protocol AcceptedConnection: Sendable {
  /// What reads and writes, behind the handlers of TLS and idle connections.
  var handler: any ChannelHandler & Sendable { get }
  /// Takes no more calls, and closes when those that run have been answered; from any thread.
  func requestShutDown()
  /// Closes at once, from any thread.
  func abort()
}

/// Listens, keeps the connections that it has accepted, and ends them with grace.
package final class Listener<Connection: AcceptedConnection>: Sendable {
  private let configuration: any ListenerConfiguration
  private let gauge: Gauge?
  private let shared = NIOLockedValueBox(Shared())

  private struct Shared {
    var channel: (any Channel)?
    var connections: [ObjectIdentifier: Connection] = [:]
    var isShuttingDown = false
    var isFull = false
    /// Told when the last connection has gone.
    var whenEmpty: [CheckedContinuation<Void, Never>] = []
  }

  /// - Parameter protocolName: the gauge of its connections is called
  ///   `<protocol>.server.connections`.
  package init(_ configuration: some ListenerConfiguration, _ protocolName: String) {
    self.configuration = configuration
    gauge = hasMetrics ? Gauge(label: "\(protocolName).server.connections") : nil
  }

  /// The connections that are open now.
  package var connections: [Connection] {
    shared.withLockedValue { Array($0.connections.values) }
  }

  /// Listens, and returns when it has been shut down: by its `ServiceGroup`, by ``shutDown()`` or
  /// by the cancellation of its task.
  package func run(_ connection: @escaping @Sendable (any Channel) -> Connection) async throws {
    guard try await start(connection) != nil else { return await shutDown() }
    let channel = shared.withLockedValue { $0.channel! }
    try await withTaskCancellationOrGracefulShutdownHandler {
      try await channel.closeFuture.get()
    } onCancelOrGracefulShutdown: {
      channel.close(promise: nil)
    }
    await shutDown()
  }

  /// Listens, if it does not already.
  ///
  /// - Parameter connection: makes the connection of a channel.
  /// - Returns: the port; nil when it has been shut down.
  /// - Throws: the error of the system, such as "address in use".
  package func start(
    _ connection: @escaping @Sendable (any Channel) -> Connection
  ) async throws -> Int? {
    let (listening, isShuttingDown) = shared.withLockedValue { ($0.channel, $0.isShuttingDown) }
    if isShuttingDown { return nil }
    if let listening { return listening.localAddress?.port ?? configuration.port }
    let context = try configuration.tls.map { try NIOSSLContext(configuration: $0) }
    let group = configuration.eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
    let idle = configuration.idleTimeout.map { TimeAmount($0) }
    let channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture {
          let connection = connection(channel)
          try admit(connection, channel)
          let pipeline = channel.pipeline.syncOperations
          if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
          if let idle { try pipeline.addHandler(IdleStateHandler(allTimeout: idle)) }
          try pipeline.addHandler(connection.handler)
        }
      }
      .bind(host: configuration.host, port: configuration.port).get()
    let isWanted = shared.withLockedValue { shared in
      guard !shared.isShuttingDown else { return false }
      shared.channel = channel
      return true
    }
    guard isWanted else {
      try await channel.close().get()
      return nil
    }
    return channel.localAddress?.port ?? configuration.port
  }

  /// Takes no more connections and calls, waits until the calls that run have been answered, at
  /// most the grace of the configuration, and closes all connections.
  package func shutDown() async {
    let (channel, connections) = shared.withLockedValue { shared in
      shared.isShuttingDown = true
      return (shared.channel, Array(shared.connections.values))
    }
    try? await channel?.close().get()
    for connection in connections { connection.requestShutDown() }
    let grace = Task { [configuration] in
      try await Task.sleep(for: configuration.shutdownGrace)
      for connection in self.connections { connection.abort() }
    }
    await withCheckedContinuation { continuation in
      let isEmpty = shared.withLockedValue { shared in
        if !shared.connections.isEmpty { shared.whenEmpty.append(continuation) }
        return shared.connections.isEmpty
      }
      if isEmpty { continuation.resume() }
    }
    grace.cancel()
  }

  // MARK: Connections

  /// Keeps the connection until its channel has closed, however that comes about.
  private func admit(_ connection: Connection, _ channel: any Channel) throws {
    let key = ObjectIdentifier(channel)
    let (count, isNews) = shared.withLockedValue { shared in
      guard !shared.isShuttingDown, shared.connections.count < configuration.maxConnections else {
        defer { shared.isFull = true }
        return (nil as Int?, !shared.isFull && !shared.isShuttingDown)
      }
      shared.isFull = false
      shared.connections[key] = connection
      return (shared.connections.count, false)
    }
    guard let count else {
      connection.abort()
      if isNews {
        configuration.logger.warning(
          "\(configuration.maxConnections) connections are open: further ones are refused")
      }
      throw Refused()
    }
    gauge?.record(count)
    channel.closeFuture.whenComplete { _ in self.forget(key) }
  }

  private func forget(_ key: ObjectIdentifier) {
    let (connection, count, waiting) = shared.withLockedValue { shared in
      let connection = shared.connections.removeValue(forKey: key)
      let count = shared.connections.count
      guard count == 0 else { return (connection, count, [] as [CheckedContinuation<Void, Never>]) }
      defer { shared.whenEmpty = [] }
      return (connection, count, shared.whenEmpty)
    }
    // This may be the last reference: the connection goes here, where the lock is not held.
    withExtendedLifetime(connection) {}
    gauge?.record(count)
    for continuation in waiting { continuation.resume() }
  }
}

/// There are as many connections as there may be.
private struct Refused: Error {}
