import CMilongaTurns
import Logging
import MilongaRPC
import NIOCore
import NIOSSL
import NIOTLS
import RPCRuntime

/// A connection of a server: takes calls, carries them out, answers them in their order.
final class TangoServerHandler: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer

  let server: TangoServer
  let configuration: TangoServer.Configuration
  let observer: CallObserver
  let scratch: EventLoopScratch
  let elements: MessageElements
  let executor: EventLoopExecutor
  var state: ServingState
  private(set) var context: ChannelHandlerContext?
  var reader: FrameReader
  var writer = TangoTextWriter()
  var references: References<any RPCObject>
  /// Where the next result of the answer goes.
  var nextElement = 2
  /// The async functions that run.
  var running = RunningCalls()
  private var opening: ConnectionOpening?
  /// When its turn on the event loop has lasted long enough, in ticks of `CMilongaTurns`.
  private(set) var turnEnd: UInt64 = 0

  // MARK: What is held (TangoServerHandler+Holding)

  let keeper: BufferKeeper
  var holder: BufferHolder?
  /// The keeper knows of something that is held, or has to be told.
  var isHolding = false

  init(_ server: TangoServer, _ eventLoop: any EventLoop) {
    self.server = server
    executor = EventLoopExecutor(eventLoop)
    configuration = server.configuration
    state = ServingState(configuration.concurrency)
    observer = server.observer
    scratch = server.scratch(of: eventLoop)
    keeper = server.keepers.keeper(of: eventLoop)
    elements = scratch.elements
    reader = FrameReader(maxBytes: configuration.limits.frameBytes)
    references = References(limit: configuration.limits.references)
  }

  deinit { opening?.cancel() }

  var eventLoop: any EventLoop { executor.eventLoop }

  // MARK: Opening

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    // Not weak: each retain of an object that a weak reference was made to is slow for good.
    let opening = ConnectionOpening(server.openingRules, executor) { [unowned self] in
      switch $0 {
      case .open: serve()
      case .refused(let reason): refuse(reason)
      }
    }
    self.opening = opening
    opening.begin(context)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case TLSUserEvent.handshakeCompleted: opening?.handshakeCompleted(context)
    case is IdleStateHandler.IdleStateEvent where state.isIdle && opening?.isAsking != true:
      // A peer that does not read its last answers is silent, too.
      if state.phase == .ending { context.close(promise: nil) }
      refuse("silent for \(configuration.idleTimeout!)")
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  private func serve() {
    opening = nil
    if state.open() { proceed() }
  }

  // MARK: The channel

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    do throws(MemoryShortage) {
      try reader.append(unwrapInboundIn(data))
    } catch {
      return refuse("\(error) for its message")
    }
    state.isReading = true
    if !state.isGivingWay {
      turnEnd = milonga_turn_end()
      process()
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    state.isReading = false
    flush()
    if isHolding || reader.count > 0 { tellHolding() }
    pauseOrGoOn()
    // No handler comes behind this one to be told.
  }

  /// A peer whose calls wait is not read.
  func pauseOrGoOn() {
    guard let context,
      let reads = state.readsOn(
        waiting: reader.count, unless: !context.channel.isWritable || mustWaitForRoom)
    else { return }
    context.channel.setOption(.autoRead, value: reads)
      .whenFailure { [weak self] in self?.refuse("cannot stop reading: \($0)") }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    // What is written may leave at once; the end of the turn tells.
    isHolding = true
    if context.channel.isWritable { proceed() }
    context.fireChannelWritabilityChanged()
  }

  /// What calls waited for is over. It may have come in the same turn: an async function need not
  /// wait.
  func proceed() {
    if state.takesCalls, reader.count > 0, milonga_turn_is_over(turnEnd) != 0 {
      giveWay()
    } else {
      process()
    }
    if !state.isReading { flush() }
    if isHolding { tellHolding() }
    pauseOrGoOn()
  }

  /// Ends the turn; what was answered leaves.
  func giveWay() {
    guard state.giveWay() else { return }
    flush()
    EventLoopTurns.wait(on: eventLoop) { [self] in
      state.beginTurn()
      turnEnd = milonga_turn_end()
      proceed()
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    opening?.cancel()
    running.cancelAll()
    switch state.peerLeft() {
    case .nothing: break
    case .carryOut: proceed()
    case .release: release()
    }
    tellHolding()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A peer that goes is no news.
    if !(error is IOError), !(error is NIOSSLError) || state.phase == .opening { log("\(error)") }
    context.close(promise: nil)
  }
}
