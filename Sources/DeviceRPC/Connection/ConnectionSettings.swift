import Instrumentation
import Logging
import MilongaRPC
import RPCRuntime
import Tracing

/// What the connections of a server, or one that was made, have in common.
struct ConnectionSettings: Sendable {
  let limits: RPCLimits
  let concurrency: CallConcurrency
  /// Count what peers hold.
  let keepers: EventLoopKeepers
  let callTimeout: Duration?
  /// What a connection needs before its first call.
  let opening: OpeningRules
  let idleTimeout: Duration?
  let stallTimeout: Duration?
  let maxUnsentBytes: Int
  let logger: Logger
  let observer = CallObserver("rpc")
  /// nil when the program has installed none.
  let tracer = InstrumentationSystem.installedTracer
  /// Whether the other side has connected to this one.
  let isAccepted: Bool
  /// What the server's program does with the peer.
  var visitor: (@Sendable (RPCPeer) async throws -> Void)?

  init(_ configuration: RPCPeer.Configuration) {
    limits = configuration.limits
    concurrency = configuration.concurrency
    keepers = EventLoopKeepers(configuration.limits, account: .process)
    callTimeout = configuration.timeout
    opening = OpeningRules(
      hasTLS: configuration.tls != nil, timeout: configuration.timeout, authorize: nil)
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
    concurrency = configuration.concurrency
    keepers = EventLoopKeepers(configuration.limits, account: account)
    callTimeout = configuration.timeout
    opening = OpeningRules(
      hasTLS: configuration.tls != nil, timeout: configuration.handshakeTimeout,
      authorize: configuration.authorize)
    idleTimeout = configuration.idleTimeout
    stallTimeout = configuration.stallTimeout
    maxUnsentBytes = configuration.maxUnsentBytes
    logger = configuration.logger
    isAccepted = true
    self.visitor = visitor
  }
}
