import CMilongaTurns
import MilongaRPC
import NIOCore
import RPCRuntime

// Messages are taken from what the channel has read.
extension PeerConnection {
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    guard state.phase != .ended else { return }
    bytesReceived += buffer.readableBytes
    do throws(MemoryShortage) {
      try received.appendReceived(buffer)
    } catch {
      return disconnect("\(error) for its message")
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
    if isHolding || received.readableBytes > 0 { tellHolding() }
    acknowledge()
    watchStall()
    context.fireChannelReadComplete()
  }

  /// The original sends a header and its payload separately. With Nagle's algorithm the payload
  /// stays there until the header is acknowledged, for which a receiver takes 40 ms.
  private func acknowledge() {
    if 1...LuaRPCFraming.headerBytes + 1 ~= received.readableBytes { isSplitting = true }
    if isSplitting, received.readableBytes > 0 || !hasSent, let quickAcknowledgement {
      try? context?.channel.syncOptions?.setOption(quickAcknowledgement, value: 1)
    }
    hasSent = false
  }

  func read(context: ChannelHandlerContext) {
    if state.reads(unless: isHeld || mustWaitForRoom) { context.read() }
  }

  private var isHeld: Bool {
    state.isHeld(
      received: received.readableBytes, isWritable: context?.channel.isWritable != false,
      awaitsAnswers: lock.withLock { shared.session.calls.count > 0 })
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
    if !state.isReading { flush() }
    if isHolding { tellHolding() }
    if state.phase == .finishing { finishIfDone() }
    if state.owesRead, state.makesUpRead(unless: isHeld || mustWaitForRoom) { context?.read() }
  }

  private func process() {
    if state.isGivingWay { return }
    while state.handlesMessages {
      if lock.withLock({ output.bytes }) > mostCollected { flush() }
      if isHeld { return }
      if !serveFirstWaiting() {
        let size = handleFirst()
        guard size > 0 else { break }
        received.moveReaderIndex(forwardBy: size)
      }
      if milonga_turn_is_over(turnEnd) != 0, received.readableBytes > 0 || mayServeWaiting {
        giveWay()
        break
      }
    }
    if received.readableBytes == 0 { received = ByteBuffer() } else { received.discardReadBytes() }
  }

  /// Ends the turn; what was answered leaves.
  private func giveWay() {
    state.giveWay()
    flush()
    EventLoopTurns.wait(on: eventLoop) { [self] in
      state.beginTurn()
      turnEnd = milonga_turn_end()
      proceed()
      if state.isGone, !state.isGivingWay { end(.connectionClosed(peer: name)) }
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
        if mayServe { serve(sequence, payload) } else { keep(sequence, payload) }
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
      state.handlesMessages
    else { return }
    let before = bytesReceived
    stallTimer = eventLoop.scheduleTask(in: TimeAmount(timeout)) { [weak self] in
      guard let self else { return }
      stallTimer = nil
      let mayRead = !isHeld && !state.isGivingWay && !mustWaitForRoom
      if bytesReceived == before, received.readableBytes > 0, mayRead {
        disconnect("no byte in \(timeout) in the middle of a message")
      } else {
        watchStall()
      }
    }
  }
}

#if os(Linux)
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  private let quickAcknowledgement: ChannelOptions.Types.SocketOption? = .init(
    level: .tcp, name: .init(rawValue: TCP_QUICKACK))
#else
  private let quickAcknowledgement: ChannelOptions.Types.SocketOption? = nil
#endif
