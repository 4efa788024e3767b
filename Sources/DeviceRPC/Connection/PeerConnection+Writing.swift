import MilongaRPC
import NIOCore
import RPCRuntime

/// Bytes that are collected before they are sent.
let mostCollected = 64 << 10

// Calls and answers leave together.
extension PeerConnection {
  /// Sends what was collected, in a turn of its own.
  func flushInTurn() {
    flush()
    // A side that calls has to read, too.
    if state.owesRead { proceed() }
  }

  func flush() {
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
      if isHolding, !state.isReading { tellHolding() }
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
    if isHolding, !state.isReading { tellHolding() }
  }

  // MARK: Deadlines

  private func watch(_ deadline: Int64) {
    guard deadline < deadlineTimerTime, state.phase != .ended else { return }
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
    for call in expired { call.fail(CallFailure.timedOut) }
    watch(next)
  }
}
