public import Logging
public import MilongaRPC
public import NIOCore
public import NIOSSL
public import RPCRuntime

extension TangoServer {
  /// How a server listens, and what peers may do.
  public struct Configuration: Sendable {
    /// Only this machine can connect unless told otherwise; `0.0.0.0` or `::` is every interface.
    public var host = "127.0.0.1"
    /// 0 for any free port: see ``TangoServer/start()``.
    public var port = 12345
    /// TLS; nil for none. Ask for client certificates by its `certificateVerification`.
    public var tls: TLSConfiguration?
    /// Whether peers may read and write variables; functions can always be called.
    public var access: Access = [.read, .write]
    /// What one connection may cost, and all together may make the process hold.
    public var limits = RPCLimits()
    /// How the calls of one connection run: async functions side by side, unless told otherwise.
    /// Answers have the order of the calls in any case.
    public var concurrency = CallConcurrency.sideBySide()
    /// Connections at a time; further ones are closed at once.
    public var maxConnections = 100_000
    /// A connection that is silent for so long is closed; nil for never.
    public var idleTimeout: Duration?
    /// How long the TLS handshake and ``authorize`` may take.
    public var handshakeTimeout = Duration.seconds(10)
    /// Asked once for each connection, before its first call; false closes it.
    public var authorize: (@Sendable (TangoPeer) async throws -> Bool)?
    /// How long calls may take to finish when the server shuts down.
    public var shutdownGrace = Duration.seconds(30)
    /// The log: one line for each peer that breaks the protocol or is refused.
    public var logger = Logger(label: "tango")
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
}

extension TangoServer.Configuration: ListenerConfiguration {}

/// The other end of a server's connection, for ``TangoServer/Configuration/authorize``.
public typealias TangoPeer = RPCPeerIdentity
