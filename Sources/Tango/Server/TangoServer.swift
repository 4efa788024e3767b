import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL
public import ServiceLifecycle

/// Serves Swift functions to tango clients: the original's, Milonga's in Lua, ``TangoClient``.
///
/// ```swift
/// var api = TangoNamespace()
/// api.register("add") { (a: Int, b: Int) in a + b }
/// try await TangoServer(api, configuration: .init(port: 12345)).run()
/// ```
///
/// As a `Service` it takes part in a `ServiceGroup`: when that shuts down, the server takes no more calls, finishes
/// those that run, and closes its connections.
public final class TangoServer: Service {
  /// What peers can call.
  public let namespace: TangoNamespace
  /// How it listens, and what peers may do.
  public let configuration: Configuration
  let metrics: CallMetrics?
  private let shared = NIOLockedValueBox(Shared())

  private struct Shared {
    var listener: (any Channel)?
    var connections: [ObjectIdentifier: TangoServerHandler] = [:]
    var isShuttingDown = false
    var isFull = false
    /// Told when the last connection has gone.
    var whenEmpty: CheckedContinuation<Void, Never>?
  }

  public init(_ namespace: TangoNamespace, configuration: Configuration = .init()) {
    self.namespace = namespace
    self.configuration = configuration
    metrics = .make()
  }

  /// Listens, and returns when it has been shut down: by its `ServiceGroup`, by ``shutDown()`` or by the
  /// cancellation of its task.
  public func run() async throws {
    if shared.withLockedValue({ $0.listener == nil }) { _ = try await start() }
    let listener = shared.withLockedValue { $0.listener! }
    try await withTaskCancellationOrGracefulShutdownHandler {
      try await listener.closeFuture.get()
    } onCancelOrGracefulShutdown: {
      listener.close(promise: nil)
    }
    await shutDown()
  }

  /// Listens.
  ///
  /// - Returns: the port, which is of interest when the configuration said 0.
  /// - Throws: the error of the system, such as "address in use".
  public func start() async throws -> Int {
    let context = try configuration.tls.map { try NIOSSLContext(configuration: $0) }
    let group = configuration.eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
    let idle = configuration.idleTimeout.map { TimeAmount($0) }
    let listener = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture {
          let handler = TangoServerHandler(self)
          try admit(handler)
          let pipeline = channel.pipeline.syncOperations
          if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
          if let idle { try pipeline.addHandler(IdleStateHandler(allTimeout: idle)) }
          try pipeline.addHandler(handler)
        }
      }
      .bind(host: configuration.host, port: configuration.port).get()
    shared.withLockedValue { $0.listener = listener }
    return listener.localAddress?.port ?? configuration.port
  }

  /// Takes no more connections and calls, waits until the calls that run have been answered, at most
  /// ``Configuration/shutdownGrace``, and closes all connections.
  public func shutDown() async {
    let (listener, connections) = shared.withLockedValue { shared in
      shared.isShuttingDown = true
      return (shared.listener, Array(shared.connections.values))
    }
    try? await listener?.close().get()
    for connection in connections { connection.requestShutDown() }
    let grace = Task { [shared, grace = configuration.shutdownGrace] in
      try await Task.sleep(for: grace)
      for connection in shared.withLockedValue({ Array($0.connections.values) }) {
        connection.abort()
      }
    }
    await withCheckedContinuation { continuation in
      let isEmpty = shared.withLockedValue { shared in
        if !shared.connections.isEmpty { shared.whenEmpty = continuation }
        return shared.connections.isEmpty
      }
      if isEmpty { continuation.resume() }
    }
    grace.cancel()
  }

  // MARK: Connections

  private func admit(_ connection: TangoServerHandler) throws {
    let (count, isNews) = shared.withLockedValue { shared in
      guard !shared.isShuttingDown, shared.connections.count < configuration.maxConnections else {
        defer { shared.isFull = true }
        return (nil as Int?, !shared.isFull && !shared.isShuttingDown)
      }
      shared.isFull = false
      shared.connections[ObjectIdentifier(connection)] = connection
      return (shared.connections.count, false)
    }
    guard let count else {
      if isNews {
        configuration.logger.warning(
          "\(configuration.maxConnections) connections are open: further ones are refused")
      }
      throw Refused()
    }
    metrics?.connected(count)
  }

  func closed(_ connection: TangoServerHandler) {
    let (count, waiting) = shared.withLockedValue { shared in
      shared.connections[ObjectIdentifier(connection)] = nil
      return (
        shared.connections.count, shared.connections.isEmpty ? shared.whenEmpty.take() : nil
      )
    }
    metrics?.connected(count)
    waiting?.resume()
  }
}

/// There are as many connections as there may be.
private struct Refused: Error {}
