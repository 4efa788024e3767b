import Instrumentation
import Logging
import MilongaRPC
import NIOConnection
import Tracing

/// What the connections of a server, or one that was made, have in common.
struct ConnectionSettings: Sendable {
  let limits: RPCLimits
  /// Count what peers hold.
  let keepers: EventLoopKeepers
  let callTimeout: Duration?
  let hasTLS: Bool
  let handshakeTimeout: Duration?
  let idleTimeout: Duration?
  let stallTimeout: Duration?
  let maxUnsentBytes: Int
  let logger: Logger
  let observer = CallObserver("rpc")
  /// nil when the program has installed none.
  let tracer = InstrumentationSystem.installedTracer
  /// Whether the other side has connected to this one.
  let isAccepted: Bool
  var authorize: (@Sendable (RPCServer.Client) async throws -> Bool)?
  /// What the server's program does with the peer.
  var visitor: (@Sendable (RPCPeer) async throws -> Void)?

  init(_ configuration: RPCPeer.Configuration) {
    limits = configuration.limits
    keepers = EventLoopKeepers(configuration.limits, account: .process)
    callTimeout = configuration.timeout
    hasTLS = configuration.tls != nil
    handshakeTimeout = configuration.timeout
    idleTimeout = configuration.idleTimeout
    stallTimeout = configuration.stallTimeout
    maxUnsentBytes = configuration.maxUnsentBytes
    logger = configuration.logger
    isAccepted = false
  }

  init(
    _ configuration: RPCServer.Configuration,
    visitor: (@Sendable (RPCPeer) async throws -> Void)?, account: BufferAccount
  ) {
    limits = configuration.limits
    keepers = EventLoopKeepers(configuration.limits, account: account)
    callTimeout = configuration.timeout
    hasTLS = configuration.tls != nil
    handshakeTimeout = configuration.handshakeTimeout
    idleTimeout = configuration.idleTimeout
    stallTimeout = configuration.stallTimeout
    maxUnsentBytes = configuration.maxUnsentBytes
    logger = configuration.logger
    isAccepted = true
    authorize = configuration.authorize
    self.visitor = visitor
  }
}
