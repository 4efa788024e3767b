import MilongaRPC
package import NIOCore
import RPCRuntime
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
/// Functions that do not wait run on the connection's event loop. Each call of an async function is
/// a task of its own: so a call does not delay the calls behind it, and a function can call the
/// peer that has called it (``RPCPeer/current``). Peers read variables by `eval`.
///
/// As a `Service` it takes part in a `ServiceGroup`: when that shuts down, the server takes no more
/// calls, finishes those that it serves, and closes its connections.
public final class RPCServer: Service {
  /// What peers can call.
  public let namespace: RPCNamespace
  /// How it listens, and what connections may cost.
  public let configuration: Configuration
  private let visitor: (@Sendable (RPCPeer) async throws -> Void)?
  private let listener: Listener<RPCPeer>
  private let account: BufferAccount

  /// - Parameter visitor: what this side does with each peer that has connected, as a task of its
  ///   own. When it returns the connection stays open; when it throws it is closed; when the
  ///   connection ends the task is cancelled.
  public convenience init(
    _ namespace: RPCNamespace, configuration: Configuration = .init(),
    whenConnected visitor: (@Sendable (RPCPeer) async throws -> Void)? = nil
  ) {
    self.init(
      namespace, configuration: configuration, whenConnected: visitor, account: .process)
  }

  /// - Parameter account: counts what peers hold; tests have one of their own.
  init(
    _ namespace: RPCNamespace, configuration: Configuration,
    whenConnected visitor: (@Sendable (RPCPeer) async throws -> Void)? = nil,
    account: BufferAccount
  ) {
    self.account = account
    self.namespace = namespace
    self.configuration = configuration
    self.visitor = visitor
    listener = Listener(configuration, "rpc")
  }

  /// Those that are connected now.
  public var peers: [RPCPeer] { listener.connections }

  /// Listens, and returns when it has been shut down: by its `ServiceGroup`, by ``shutDown()`` or
  /// by the cancellation of its task.
  public func run() async throws { try await listener.run(makePeer()) }

  /// Listens.
  ///
  /// - Returns: the port, which is of interest when the configuration said 0.
  /// - Throws: the error of the system, such as "address in use"; ``RPCError/shutDown`` after
  ///   ``shutDown()``.
  public func start() async throws -> Int {
    guard let port = try await listener.start(makePeer()) else { throw RPCError.shutDown }
    return port
  }

  /// Takes no more connections and calls, waits until the calls that are served have been answered,
  /// at most ``Configuration/shutdownGrace``, and closes all connections.
  public func shutDown() async { await listener.shutDown() }

  /// What makes the peer of a channel.
  private func makePeer() -> @Sendable (any Channel) -> RPCPeer {
    let settings = ConnectionSettings(configuration, visitor: visitor, account: account)
    return { [namespace] channel in
      PeerConnection(channel, channel.peerName, namespace, settings).claimPeer()!
    }
  }
}

// The listener has the peers: their connections do not keep them.
extension RPCPeer: AcceptedConnection {
  package var handler: any ChannelHandler & Sendable { connection }
  package func requestShutDown() { connection.requestShutDown() }
  package func abort() { close() }
}
