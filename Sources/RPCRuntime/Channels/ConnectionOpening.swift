public import NIOCore
public import NIOSSL

/// The other end of a connection, as the program is asked about it.
public struct RPCPeerIdentity: Sendable {
  /// The peer's address.
  public let address: SocketAddress?
  /// The peer's certificate, verified as the server's TLS configuration says; nil without one.
  public let certificate: NIOSSLCertificate?
}

/// What a connection needs before its first call.
package struct OpeningRules: Sendable {
  let hasTLS: Bool
  let timeout: Duration?
  let authorize: (@Sendable (RPCPeerIdentity) async throws -> Bool)?

  /// - Parameters:
  ///   - timeout: how long the handshake and the permission may take together; nil for no limit.
  ///   - authorize: asks the program for its permission; nil when that is not needed.
  package init(
    hasTLS: Bool, timeout: Duration?,
    authorize: (@Sendable (RPCPeerIdentity) async throws -> Bool)?
  ) {
    self.hasTLS = hasTLS
    self.timeout = timeout
    self.authorize = authorize
  }
}

/// The opening of one connection. It belongs to the connection's event loop.
package final class ConnectionOpening: @unchecked Sendable {
  package enum Outcome {
    case open(NIOSSLCertificate?)
    /// The connection has to be closed, for this reason.
    case refused(String)
  }

  private let rules: OpeningRules
  private let executor: EventLoopExecutor
  private let ended: (Outcome) -> Void
  private var state: OpeningState
  private var timer: Scheduled<Void>?
  private var permission: Task<Void, Never>?
  private var identity = RPCPeerIdentity(address: nil, certificate: nil)

  /// - Parameter ended: is called once, unless the opening is cancelled.
  package init(
    _ rules: OpeningRules, _ executor: EventLoopExecutor, ended: @escaping (Outcome) -> Void
  ) {
    self.rules = rules
    self.executor = executor
    self.ended = ended
    state = OpeningState(hasTLS: rules.hasTLS, asksProgram: rules.authorize != nil)
  }

  /// Whether the program was asked for its permission, and has not answered.
  package var isAsking: Bool { state.isAsking }

  /// The channel has become active.
  package func begin(_ context: ChannelHandlerContext) {
    if let timeout = rules.timeout, state.waits {
      timer = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) { [weak self] in
        self?.timedOut(timeout)
      }
    }
    perform(state.connected(), context)
  }

  /// The handshake of TLS has been completed.
  package func handshakeCompleted(_ context: ChannelHandlerContext) {
    perform(state.handshakeCompleted(), context)
  }

  /// The connection has ended.
  package func cancel() {
    state.cancel()
    timer?.cancel()
    permission?.cancel()
  }

  private func timedOut(_ timeout: Duration) { act(state.timedOut(timeout)) }

  private func perform(_ action: OpeningState.Action, _ context: ChannelHandlerContext) {
    if action != .nothing {
      identity = RPCPeerIdentity(
        address: context.remoteAddress,
        certificate: try? context.pipeline.syncOperations.nioSSL_peerCertificate())
    }
    act(action)
  }

  private func act(_ action: OpeningState.Action) {
    switch action {
    case .nothing: break
    case .ask: ask()
    case .open:
      timer?.cancel()
      ended(.open(identity.certificate))
    case .refuse(let reason):
      timer?.cancel()
      ended(.refused(reason))
    }
  }

  private func ask() {
    guard let authorize = rules.authorize else { return }
    let identity = identity
    permission = Task(executorPreference: executor) {
      let refusal: String?
      do {
        refusal = try await authorize(identity) ? nil : "not authorized"
      } catch {
        refusal = "not authorized: \(error)"
      }
      self.executor.eventLoop.execute { self.act(self.state.answered(refusal)) }
    }
  }
}
