import Logging
import NIOCore
import RPC

/// What the connections of a server, or one that was made, have in common.
struct ConnectionSettings: Sendable {
  let limits: RPCLimits
  let callTimeout: Duration?
  let hasTLS: Bool
  let handshakeTimeout: Duration?
  let idleTimeout: Duration?
  let stallTimeout: Duration?
  let maxUnsentBytes: Int
  let logger: Logger
  var authorize: (@Sendable (RPCServer.Client) async throws -> Bool)?

  init(_ configuration: RPCPeer.Configuration) {
    limits = configuration.limits
    callTimeout = configuration.timeout
    hasTLS = configuration.tls != nil
    handshakeTimeout = configuration.timeout
    idleTimeout = configuration.idleTimeout
    stallTimeout = configuration.stallTimeout
    maxUnsentBytes = configuration.maxUnsentBytes
    logger = configuration.logger
  }

  init(_ configuration: RPCServer.Configuration) {
    limits = configuration.limits
    callTimeout = configuration.timeout
    hasTLS = configuration.tls != nil
    handshakeTimeout = configuration.handshakeTimeout
    idleTimeout = configuration.idleTimeout
    stallTimeout = configuration.stallTimeout
    maxUnsentBytes = configuration.maxUnsentBytes
    logger = configuration.logger
    authorize = configuration.authorize
  }

  func addIdleHandler(to pipeline: ChannelPipeline.SynchronousOperations) throws {
    guard let idleTimeout else { return }
    try pipeline.addHandler(IdleStateHandler(allTimeout: TimeAmount(idleTimeout)))
  }
}
