public import Logging
public import MilongaRPC
public import NIOCore
import NIOPosix
public import NIOSSL
public import RPCRuntime

extension RPCPeer {
  /// How a connection is made, and what it may cost.
  public struct Configuration: Sendable {
    /// How long connecting, and each call, may take; nil for no limit.
    public var timeout: Duration? = .seconds(30)
    /// TLS; nil for none.
    public var tls: TLSConfiguration?
    /// The name that the certificate must have, unless it is the host.
    public var sslHostname: String?
    /// What messages may cost, and how many calls may await their answers or a sequence number.
    public var limits = RPCLimits()
    /// How the calls of the other side run: async functions side by side, unless told otherwise. No
    /// more than 256 can be under way, because the protocol has no more numbers. With `.ordered`, a
    /// function that calls the other side back must not need further calls of that side.
    public var concurrency = CallConcurrency.sideBySide()
    /// A connection that is silent for so long, while neither side has called, is closed; nil for
    /// never.
    public var idleTimeout: Duration?
    /// A connection on which no byte comes for so long in the middle of a message is closed; nil
    /// for never.
    public var stallTimeout: Duration? = .seconds(60)
    /// Bytes that may wait for a peer which does not read.
    public var maxUnsentBytes = 64 << 20
    /// The log: one line when the peer breaks the protocol, and one for each result that could
    /// not be sent.
    public var logger = Logger(label: "rpc")
    /// Runs the connection; NIO's own threads unless told otherwise.
    public var eventLoopGroup: (any EventLoopGroup)?

    /// The defaults.
    public init() {}
  }

  /// Connects to a peer that listens: a device, Milonga's `rpc.newserveronly`, an ``RPCServer``.
  ///
  /// - Parameter namespace: what the other side may call; nothing unless told otherwise.
  /// - Throws: ``RPCError/connectFailed(peer:reason:)``.
  public static func connect(
    host: String = "localhost", port: Int = 1999, serving namespace: RPCNamespace = .init(),
    configuration: Configuration = .init()
  ) async throws -> RPCPeer {
    let name = peerName(host, port)
    do {
      let settings = ConnectionSettings(configuration)
      let peer = try await Connector(
        host: host, port: port, tls: configuration.tls, sslHostname: configuration.sslHostname,
        timeout: configuration.timeout,
        group: configuration.eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
      ).connect { channel in
        let pipeline = channel.pipeline.syncOperations
        if let idle = settings.idleTimeout {
          try pipeline.addHandler(IdleStateHandler(allTimeout: TimeAmount(idle)))
        }
        let connection = PeerConnection(channel, name, namespace, settings)
        let peer = connection.claimPeer()!
        try pipeline.addHandler(connection)
        return peer
      }
      try await withTaskCancellationHandler {
        try await peer.connection.opened.futureResult.get()
      } onCancel: {
        peer.close()
      }
      return peer
    } catch {
      try Task.checkCancellation()
      switch error as? RPCError {
      case .protocolViolation(_, let reason):
        throw RPCError.connectFailed(peer: name, reason: reason)
      case .connectionClosed: throw RPCError.connectFailed(peer: name, reason: "closed by the peer")
      default: throw RPCError.connectFailed(peer: name, reason: connectionFailure(error))
      }
    }
  }
}
