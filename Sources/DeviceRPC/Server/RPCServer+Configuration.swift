public import Logging
public import MilongaRPC
public import NIOCore
public import NIOSSL
public import RPCRuntime

extension RPCServer {
  /// How a server listens, and what connections may cost.
  public struct Configuration: Sendable {
    /// Only this machine can connect unless told otherwise; `0.0.0.0` or `::` is every interface.
    public var host = "127.0.0.1"
    /// 0 for any free port: see ``RPCServer/start()``.
    public var port = 1999
    /// TLS; nil for none. Ask for client certificates by its `certificateVerification`.
    public var tls: TLSConfiguration?
    /// How long each call of a peer may take; nil for no limit.
    public var timeout: Duration? = .seconds(30)
    /// What one connection may cost, and all together may make the process hold.
    public var limits = RPCLimits()
    /// How the calls of the other side run: async functions side by side, unless told otherwise. No
    /// more than 256 can be under way, because the protocol has no more numbers. With `.ordered`, a
    /// function that calls the other side back must not need further calls of that side.
    public var concurrency = CallConcurrency.sideBySide()
    /// Connections at a time; further ones are closed at once.
    public var maxConnections = 100_000
    /// A connection that is silent for so long, while neither side has called, is closed; nil for
    /// never.
    public var idleTimeout: Duration?
    /// A connection on which no byte comes for so long in the middle of a message is closed; nil
    /// for never.
    public var stallTimeout: Duration? = .seconds(60)
    /// How long the TLS handshake and ``authorize`` may take.
    public var handshakeTimeout = Duration.seconds(10)
    /// Bytes that may wait for a peer which does not read.
    public var maxUnsentBytes = 64 << 20
    /// Asked once for each connection, before anything else; false closes it.
    public var authorize: (@Sendable (Client) async throws -> Bool)?
    /// How long calls may take to finish when the server shuts down.
    public var shutdownGrace = Duration.seconds(30)
    /// The log: one line for each peer that breaks the protocol or is refused, and for each
    /// result that could not be sent.
    public var logger = Logger(label: "rpc")
    /// Runs the connections; NIO's own threads unless told otherwise.
    public var eventLoopGroup: (any EventLoopGroup)?

    /// The defaults.
    public init() {}

    /// The defaults, with another place to listen.
    public init(host: String = "127.0.0.1", port: Int) {
      self.host = host
      self.port = port
    }
  }

  /// The other end of a connection, for ``Configuration/authorize``.
  public typealias Client = RPCPeerIdentity
}

extension RPCServer.Configuration: ListenerConfiguration {}
