import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL
public import ServiceLifecycle

/// Listens for peers: devices, Milonga's `rpc.newclient`, ``RPCPeer``.
///
/// ```swift
/// var api = RPCNamespace()
/// api.register("report") { (reading: Reading) async throws in try await store(reading) }
/// let server = RPCServer(api, configuration: .init(host: "0.0.0.0", port: 1999)) { device in
///   let version: String = try await device.eval("_VERSION")
///   ...
/// }
/// try await server.run()
/// ```
///
/// As a `Service` it takes part in a `ServiceGroup`: when that shuts down, the server takes no more calls, finishes
/// those that it serves, and closes its connections.
public final class RPCServer: Service {
  /// What peers can call.
  public let namespace: RPCNamespace
  /// How it listens, and what connections may cost.
  public let configuration: Configuration
  let visitor: (@Sendable (RPCPeer) async throws -> Void)?
  private let shared = NIOLockedValueBox(Shared())

  private struct Shared {
    var listener: (any Channel)?
    var peers: [ObjectIdentifier: RPCPeer] = [:]
    var isShuttingDown = false
    var isFull = false
    /// Told when the last connection has gone.
    var whenEmpty: [CheckedContinuation<Void, Never>] = []
  }

  /// - Parameter visitor: what this side does with each peer that has connected, as a task of its own. When it returns
  ///   the connection stays open; when it throws it is closed; when the connection ends the task is cancelled.
  public init(
    _ namespace: RPCNamespace, configuration: Configuration = .init(),
    whenConnected visitor: (@Sendable (RPCPeer) async throws -> Void)? = nil
  ) {
    self.namespace = namespace
    self.configuration = configuration
    self.visitor = visitor
  }

  /// Those that are connected now.
  public var peers: [RPCPeer] { shared.withLockedValue { Array($0.peers.values) } }

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
    let settings = ConnectionSettings(configuration)
    let group = configuration.eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
    let listener = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
          try settings.addIdleHandler(to: pipeline)
          let name = channel.remoteAddress.map(peerName) ?? "unknown peer"
          let connection = PeerConnection(channel, name, namespace, settings, server: self)
          try admit(connection)
          try pipeline.addHandler(connection)
        }
      }
      .bind(host: configuration.host, port: configuration.port).get()
    shared.withLockedValue { $0.listener = listener }
    return listener.localAddress?.port ?? configuration.port
  }

  /// Takes no more connections and calls, waits until the calls that are served have been answered, at most
  /// ``Configuration/shutdownGrace``, and closes all connections.
  public func shutDown() async {
    let listener = shared.withLockedValue { shared in
      shared.isShuttingDown = true
      return shared.listener
    }
    try? await listener?.close().get()
    for peer in peers { peer.connection.requestShutDown() }
    let grace = Task { [shared, grace = configuration.shutdownGrace] in
      try await Task.sleep(for: grace)
      for peer in shared.withLockedValue({ Array($0.peers.values) }) { peer.close() }
    }
    await withCheckedContinuation { continuation in
      let isEmpty = shared.withLockedValue { shared in
        if !shared.peers.isEmpty { shared.whenEmpty.append(continuation) }
        return shared.peers.isEmpty
      }
      if isEmpty { continuation.resume() }
    }
    grace.cancel()
  }

  // MARK: Connections

  private func admit(_ connection: PeerConnection) throws {
    let (isAdmitted, isNews) = shared.withLockedValue { shared in
      guard !shared.isShuttingDown, shared.peers.count < configuration.maxConnections else {
        defer { shared.isFull = true }
        return (false, !shared.isFull && !shared.isShuttingDown)
      }
      shared.isFull = false
      shared.peers[ObjectIdentifier(connection)] = connection.claimPeer()
      return (true, false)
    }
    if isAdmitted { return }
    connection.end(.shutDown)
    if isNews {
      configuration.logger.warning(
        "\(configuration.maxConnections) connections are open: further ones are refused")
    }
    throw Refused()
  }

  func closed(_ connection: PeerConnection) {
    let (peer, waiting) = shared.withLockedValue { shared in
      let peer = shared.peers.removeValue(forKey: ObjectIdentifier(connection))
      guard shared.peers.isEmpty else { return (peer, [] as [CheckedContinuation<Void, Never>]) }
      defer { shared.whenEmpty = [] }
      return (peer, shared.whenEmpty)
    }
    // Not while the lock is held: it may be the last one to have the peer.
    _ = peer
    for continuation in waiting { continuation.resume() }
  }
}

/// There are as many connections as there may be.
private struct Refused: Error {}

/// An address, as it is written in messages.
private func peerName(_ address: SocketAddress) -> String {
  guard let host = address.ipAddress, let port = address.port else { return "\(address)" }
  return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
}
