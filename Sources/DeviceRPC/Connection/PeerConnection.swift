import CMilongaTurns
import DequeModule
import MilongaRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL
import NIOTLS
import RPCRuntime

/// One connection, whichever side has made it: calls the other side, and serves its calls.
///
/// Calls are written by the tasks that make them, answers by the event loop, one behind the other
/// into one buffer, which leaves as a whole: in the next turn of the event loop, or when all that
/// was read has been handled.
final class PeerConnection: ChannelDuplexHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// The other side, for messages.
  let name: String
  let namespace: RPCNamespace
  let settings: ConnectionSettings
  let eventLoop: any EventLoop
  /// Fulfilled when calls can be made.
  let opened: EventLoopPromise<Void>

  // MARK: What the tasks that call and the event loop share

  let lock = NIOLock()
  let output: PeerOutput
  var shared: Shared

  struct Shared {
    var session: LuaRPCSession<PendingCall>
    /// Calls for which there was no sequence number.
    var waiting: Deque<PendingCall> = []
    /// No deadline is before this one.
    var earliestDeadline = Int64.max
    var isFlushScheduled = false
    var end: RPCError?
    var channel: (any Channel)?
    var certificate: NIOSSLCertificate?
  }

  // MARK: What belongs to the event loop

  private(set) weak var peer: RPCPeer?
  /// The peer, until its owner has it.
  private var unclaimedPeer: RPCPeer?
  var state = PeerState()
  private(set) var context: ChannelHandlerContext?
  let executor: EventLoopExecutor
  var received = ByteBuffer()
  /// When its turn on the event loop has lasted long enough, in ticks of `CMilongaTurns`.
  var turnEnd: UInt64 = 0
  var reader: LuatobinReader
  let elements = MessageElements()
  /// The async functions that run for the other side.
  var running = RunningCalls()
  /// Calls of the other side that wait for those that run.
  var waitingCalls = WaitingCalls()
  /// What the server's program does with the peer.
  var visit: Task<Void, Never>?
  var opening: ConnectionOpening?
  var deadlineTimer: Scheduled<Void>?
  var deadlineTimerTime = Int64.max
  var stallTimer: Scheduled<Void>?
  var bytesReceived = 0
  /// Bytes that were written, but wait for the other side to read.
  var unsent = 0
  /// The other side sends messages in two writes, and holds the second back until the first is
  /// acknowledged.
  var isSplitting = false
  /// Something was sent since the last read.
  var hasSent = false
  var hasToldOfUnknownAnswer = false

  // MARK: What is held (PeerConnection+Holding)

  let keeper: BufferKeeper
  var holder: BufferHolder?
  /// The keeper knows of something that is held, or has to be told.
  var isHolding = false

  init(
    _ channel: any Channel, _ name: String, _ namespace: RPCNamespace,
    _ settings: ConnectionSettings
  ) {
    self.name = name
    self.namespace = namespace
    self.settings = settings
    eventLoop = channel.eventLoop
    executor = EventLoopExecutor(channel.eventLoop)
    opened = channel.eventLoop.makePromise()
    output = PeerOutput(limits: settings.limits)
    reader = LuatobinReader(limits: settings.limits.codec)
    keeper = settings.keepers.keeper(of: channel.eventLoop)
    shared = Shared(session: LuaRPCSession(maxBytes: settings.limits.frameBytes), channel: channel)
    let peer = RPCPeer(self)
    unclaimedPeer = peer
    self.peer = peer
  }

  deinit { opening?.cancel() }

  /// Hands the peer to its owner. From now on the connection ends with the peer.
  func claimPeer() -> RPCPeer? {
    lock.withLock {
      defer { unclaimedPeer = nil }
      return unclaimedPeer
    }
  }

  var channel: (any Channel)? { lock.withLock { shared.channel } }
  var certificate: NIOSSLCertificate? { lock.withLock { shared.certificate } }
  var isOpen: Bool { lock.withLock { shared.end == nil } }

  // MARK: Opening

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    if !state.carriesOutRest {
      end(.connectionClosed(peer: name))
      shutChannel()
    }
    self.context = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    // Not weak: each retain of an object that a weak reference was made to is slow for good.
    let opening = ConnectionOpening(settings.opening, executor) { [unowned self] in
      switch $0 {
      case .open(let certificate):
        lock.withLock { shared.certificate = certificate }
        serve()
      case .refused(let reason): disconnect(reason)
      }
    }
    self.opening = opening
    opening.begin(context)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case TLSUserEvent.handshakeCompleted: opening?.handshakeCompleted(context)
    case is IdleStateHandler.IdleStateEvent:
      // A peer that is gone never answers the calls that were given up.
      let isCalling = lock.withLock {
        shared.session.calls.isAwaited || shared.waiting.contains { !$0.isOver }
      }
      if running.isEmpty, waitingCalls.isEmpty, !isCalling, !state.isGivingWay {
        disconnect("silent for \(settings.idleTimeout!)")
      }
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  private func serve() {
    opening = nil
    guard state.open() else { return }
    opened.succeed()
    if let peer, let visitor = settings.visitor {
      visit = Task(executorPreference: executor) {
        do {
          try await visitor(peer)
        } catch {
          guard peer.isOpen else { return }
          self.settings.logger.warning("\(self.name): disconnected: \(error)")
          peer.close()
        }
      }
    }
    proceed()
  }
}
