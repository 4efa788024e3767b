import CMilongaTurns
import DequeModule
import MilongaRPC
import NIOConcurrencyHelpers
import NIOConnection
import NIOCore
import NIOSSL
import NIOTLS
import Tango

/// One connection, whichever side has made it: calls the other side, and serves its calls.
///
/// Calls are written by the tasks that make them, answers by the event loop, one behind the other into one buffer, which
/// leaves as a whole: in the next turn of the event loop, or when all that was read has been handled.
final class PeerConnection: ChannelDuplexHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  enum State {
    /// The handshake, or the program's permission, is to come.
    case opening
    case serving
    /// No more calls are taken; it closes when those that run have been answered.
    case finishing
    case ended
  }

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
  /// The peer, until somebody else has it.
  private var unclaimedPeer: RPCPeer?
  private(set) var state = State.opening
  private(set) var context: ChannelHandlerContext?
  let executor: EventLoopExecutor
  private(set) var received = ByteBuffer()
  private var isReading = false
  /// When its turn on the event loop has lasted long enough, in ticks of `CTurns`.
  private var turnEnd: UInt64 = 0
  /// Its turn is over; it goes on when other connections have had theirs.
  private var isGivingWay = false
  /// The other side has gone, but the calls that it has made are carried out.
  private var isGone = false
  var reader: LuatobinReader
  let elements = MessageElements()
  /// The async functions that run for the other side.
  var running: [Int: Task<Void, Never>] = [:]
  var lastTask = 0
  /// What the server's program does with the peer.
  private var visit: Task<Void, Never>?
  private var handshakeTimer: Scheduled<Void>?
  private var deadlineTimer: Scheduled<Void>?
  private var deadlineTimerTime = Int64.max
  private var stallTimer: Scheduled<Void>?
  private var bytesReceived = 0
  /// Bytes that were written, but wait for the other side to read.
  private var unsent = 0
  /// The channel was told not to read on.
  private var owesRead = false
  /// The other side sends messages in two writes, and holds the second back until the first is acknowledged.
  private var isSplitting = false
  /// Something was sent since the last read.
  private var hasSent = false
  var hasToldOfUnknownAnswer = false

  // MARK: What is held (PeerConnection+Holding)

  let keeper: BufferKeeper
  var holder: BufferHolder?
  /// The keeper knows of something that is held, or has to be told.
  var isHolding = false
  /// It had to go, because it held the most.
  var isEvicted = false
  /// Bytes of large calls whose functions run.
  var largeCalls: [Int: Int] = [:]

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

  /// The peer, for whom it is from now on to have it: the connection ends with it.
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
    if !isGone || !isGivingWay {
      end(.connectionClosed(peer: name))
      shutChannel()
    }
    self.context = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    if let timeout = settings.handshakeTimeout, settings.hasTLS || settings.authorize != nil {
      handshakeTimer = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) { [weak self] in
        self?.disconnect("no handshake within \(timeout)")
      }
    }
    if !settings.hasTLS { authorize() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case TLSUserEvent.handshakeCompleted: authorize()
    case is IdleStateHandler.IdleStateEvent:
      // A peer that is gone never answers the calls that were given up.
      let isCalling = lock.withLock {
        shared.session.calls.isAwaited || shared.waiting.contains { !$0.isOver }
      }
      if running.isEmpty, !isCalling, !isGivingWay {
        disconnect("silent for \(settings.idleTimeout!)")
      }
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  private func authorize() {
    guard let context, state == .opening else { return }
    let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
    lock.withLock { shared.certificate = certificate }
    guard let authorize = settings.authorize else { return serve() }
    let client = RPCServer.Client(address: context.remoteAddress, certificate: certificate)
    visit = Task(executorPreference: executor) {
      let reason: String?
      do {
        reason = try await authorize(client) ? nil : "not authorized"
      } catch {
        reason = "not authorized: \(error)"
      }
      self.eventLoop.execute {
        if let reason { self.disconnect(reason) } else { self.serve() }
      }
    }
  }

  private func serve() {
    handshakeTimer?.cancel()
    handshakeTimer = nil
    guard state == .opening else { return }
    state = .serving
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

  // MARK: Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    guard state != .ended else { return }
    bytesReceived += buffer.readableBytes
    do throws(MemoryShortage) {
      try received.appendReceived(buffer)
    } catch {
      return disconnect("\(error) for its message")
    }
    isReading = true
    if !isGivingWay {
      turnEnd = milonga_turn_end()
      process()
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    flush()
    if isHolding || received.readableBytes > 0 { tellHolding() }
    acknowledge()
    watchStall()
    context.fireChannelReadComplete()
  }

  /// The original sends a header and its payload separately. With Nagle's algorithm the payload stays there until the
  /// header is acknowledged, for which a receiver takes 40 ms.
  private func acknowledge() {
    if 1...LuaRPCFraming.headerBytes + 1 ~= received.readableBytes { isSplitting = true }
    if isSplitting, received.readableBytes > 0 || !hasSent, let quickAcknowledgement {
      try? context?.channel.syncOptions?.setOption(quickAcknowledgement, value: 1)
    }
    hasSent = false
  }

  func read(context: ChannelHandlerContext) {
    if isHeld || mustWaitForRoom { owesRead = true } else { context.read() }
  }

  /// A peer that does not read its answers has to wait with its calls; but if it has to answer calls of this side,
  /// too, both would wait for ever.
  private var isHeld: Bool {
    if state == .opening || isGivingWay { return received.readableBytes > mostCollected }
    guard context?.channel.isWritable == false else { return false }
    return lock.withLock { shared.session.calls.count == 0 }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    // What is written may leave at once; the end of the turn tells.
    isHolding = true
    if context.channel.isWritable { proceed() }
    context.fireChannelWritabilityChanged()
  }

  /// Something that messages waited for is over.
  func proceed() {
    process()
    if !isReading { flush() }
    if isHolding { tellHolding() }
    if owesRead, !isHeld, !mustWaitForRoom {
      owesRead = false
      context?.read()
    }
  }

  private func process() {
    if isGivingWay { return }
    while state == .serving || state == .finishing {
      if lock.withLock({ output.bytes }) > mostCollected { flush() }
      if isHeld { return }
      let size = handleFirst()
      guard size > 0 else { break }
      received.moveReaderIndex(forwardBy: size)
      if milonga_turn_is_over(turnEnd) != 0, received.readableBytes > 0 {
        giveWay()
        break
      }
    }
    if received.readableBytes == 0 { received = ByteBuffer() } else { received.discardReadBytes() }
  }

  /// Ends the turn; what was answered leaves.
  private func giveWay() {
    isGivingWay = true
    flush()
    EventLoopTurns.wait(on: eventLoop) { [self] in
      isGivingWay = false
      turnEnd = milonga_turn_end()
      proceed()
      if isGone, !isGivingWay { end(.connectionClosed(peer: name)) }
    }
  }

  /// Handles the message at the start of what was received.
  ///
  /// - Returns: its size; 0 when it is not all there.
  private func handleFirst() -> Int {
    // What is called in here may not change what it reads.
    let received = received
    return received.withUnsafeReadableBytes { bytes in
      switch nextEvent(in: bytes) {
      case .incomplete: return 0
      case .call(let sequence, let payload):
        serve(sequence, payload)
        return LuaRPCFraming.headerBytes + payload.count
      case .answer(let call, let status, let payload):
        deliver(to: call, status, payload)
        return LuaRPCFraming.headerBytes + payload.count
      case .lateAnswer(let payload): return LuaRPCFraming.headerBytes + payload.count
      case .unknownAnswer(let sequence, let payload):
        noteUnknownAnswer(sequence)
        return LuaRPCFraming.headerBytes + payload.count
      case .invalid(let error):
        disconnect("\(error)")
        return 0
      }
    }
  }

  private func watchStall() {
    guard let timeout = settings.stallTimeout, received.readableBytes > 0, stallTimer == nil,
      state == .serving || state == .finishing
    else { return }
    let before = bytesReceived
    stallTimer = eventLoop.scheduleTask(in: TimeAmount(timeout)) { [weak self] in
      guard let self else { return }
      stallTimer = nil
      let mayRead = !isHeld && !isGivingWay && !mustWaitForRoom
      if bytesReceived == before, received.readableBytes > 0, mayRead {
        disconnect("no byte in \(timeout) in the middle of a message")
      } else {
        watchStall()
      }
    }
  }

  // MARK: Writing

  /// Sends what was collected in the next turn of the event loop.
  func flushSoon() {
    let isDue = lock.withLock {
      defer { shared.isFlushScheduled = true }
      return !shared.isFlushScheduled
    }
    if isDue { eventLoop.execute { self.flushInTurn() } }
  }

  func flushInTurn() {
    flush()
    // Whoever calls reads, too.
    if owesRead { proceed() }
  }

  private func flush() {
    guard let context else { return }
    var deadline = Int64.max
    var lacksMemory = false
    let buffer: ByteBuffer? = lock.withLock {
      shared.isFlushScheduled = false
      deadline = shared.earliestDeadline
      guard output.bytes > 0 else { return nil }
      lacksMemory = !SystemMemory.has(2 * output.bytes)
      return lacksMemory ? nil : output.take { context.channel.allocator.buffer(bytes: $0) }
    }
    if lacksMemory { return disconnect("\(MemoryShortage()) for what it has to get") }
    watch(deadline)
    guard let buffer else { return }
    hasSent = true
    guard unsent > 0 || !context.channel.isWritable else {
      context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
      if isHolding, !isReading { tellHolding() }
      return
    }
    let count = buffer.readableBytes
    unsent += count
    let written = eventLoop.makePromise(of: Void.self)
    written.futureResult.assumeIsolated().whenComplete { _ in self.unsent -= count }
    context.writeAndFlush(wrapOutboundOut(buffer), promise: written)
    if unsent > settings.maxUnsentBytes {
      disconnect("it does not read: \(unsent) bytes wait for it (maxUnsentBytes)")
    }
    if isHolding, !isReading { tellHolding() }
  }

  // MARK: Deadlines

  private func watch(_ deadline: Int64) {
    guard deadline < deadlineTimerTime, state != .ended else { return }
    deadlineTimer?.cancel()
    deadlineTimerTime = deadline
    deadlineTimer = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(deadline))) {
      [weak self] in self?.expire()
    }
  }

  private func expire() {
    deadlineTimer = nil
    deadlineTimerTime = .max
    let (expired, next) = expireCalls(now: Int64(NIODeadline.now().uptimeNanoseconds))
    for call in expired { call.fail(DeadlinePassed()) }
    watch(next)
  }

  // MARK: The end

  /// Ends the connection, from any thread: all calls fail.
  func end(_ error: RPCError) {
    let calls = failAll(error)
    for call in calls { call.fail(error) }
    eventLoop.execute { self.shutChannel() }
  }

  /// The same, but for what can hold this side's lock.
  func endSoon() {
    eventLoop.execute {
      // The other side has gone, and nobody has the peer: the calls that were made are carried out first.
      if !self.isGone || !self.isGivingWay { self.end(.shutDown) }
    }
  }

  /// The stream cannot be trusted any more: says why, once, and closes.
  func disconnect(_ reason: String) {
    guard state != .ended else { return }
    // Whoever connects hears of it by its error.
    if settings.isAccepted || state != .opening {
      settings.logger.warning("\(name): disconnected: \(reason)")
    }
    flush()
    state = .ended
    end(.protocolViolation(peer: name, reason: reason))
  }

  private func shutChannel() {
    if state != .ended {
      // What was answered before should arrive, if it can at once.
      flush()
      state = .ended
    }
    for timer in [handshakeTimer, deadlineTimer, stallTimer] { timer?.cancel() }
    (handshakeTimer, deadlineTimer, stallTimer) = (nil, nil, nil)
    for task in running.values { task.cancel() }
    running = [:]
    visit?.cancel()
    visit = nil
    received = ByteBuffer()
    let (reason, objects) = lock.withLock { (shared.end, output.release()) }
    withExtendedLifetime(objects) {}
    tellHolding()
    _ = claimPeer()
    opened.fail(reason ?? .connectionClosed(peer: name))
    context?.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    isGone = true
    if isGivingWay {
      let reason = RPCError.connectionClosed(peer: name)
      for call in failAll(reason) { call.fail(reason) }
    } else {
      end(.connectionClosed(peer: name))
    }
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A peer that goes is no news.
    if error is IOError || error as? NIOSSLError == .uncleanShutdown {
      // The calls that it has made are carried out.
      if isGivingWay { return context.close(promise: nil) }
      return end(.connectionClosed(peer: name))
    }
    disconnect("\(error)")
  }

  /// Takes no more calls, and closes when those that run have been answered; from any thread.
  func requestShutDown() {
    eventLoop.execute {
      switch self.state {
      case .opening: self.end(.shutDown)
      case .serving:
        self.state = .finishing
        self.finishIfDone()
      case .finishing, .ended: break
      }
    }
  }

  func finishIfDone() {
    guard state == .finishing, running.isEmpty, let context else { return }
    flush()
    // What was written before has left when this has.
    let written = eventLoop.makePromise(of: Void.self)
    written.futureResult.whenComplete { _ in self.end(.shutDown) }
    context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
  }
}

/// Bytes that are collected before they are sent.
private let mostCollected = 64 << 10

#if canImport(Glibc)
  import Glibc

  private let quickAcknowledgement: ChannelOptions.Types.SocketOption? = .init(
    level: .tcp, name: .init(rawValue: TCP_QUICKACK))
#else
  private let quickAcknowledgement: ChannelOptions.Types.SocketOption? = nil
#endif
