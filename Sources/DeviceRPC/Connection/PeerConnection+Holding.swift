import MilongaRPC
import NIOCore
import RPCRuntime

// What the connection holds for the other side. It is told at the end of a turn that leaves
// something behind; so what is served at once is never counted.
extension PeerConnection: BufferHolding {
  /// Says what is held now. The connection may be ended afterwards.
  func tellHolding() {
    let isOpen = state.phase != .ended && !state.isEvicted
    var bytes = 0
    if isOpen {
      bytes = received.readableBytes == 0 ? 0 : received.storageCapacity
      bytes +=
        waitingCalls.bytes + lock.withLock { output.bytes } + (context?.channel.unsentBytes ?? 0)
    }
    isHolding = bytes + running.bytes > 0
    if holder == nil {
      guard isHolding else { return }
      holder = BufferHolder(self, asksToCount: true)
    }
    if isOpen || running.bytes > 0 {
      keeper.set(holder!, bytes: bytes, serving: running.bytes)
    } else {
      keeper.remove(holder!)
    }
  }

  /// The rest of a large message has to wait.
  var mustWaitForRoom: Bool {
    guard keeper.isOver, let holder,
      received.readableBytes + waitingCalls.bytes > BufferKeeper.largeMessage
    else { return false }
    return keeper.mustWait(holder)
  }

  func mayReadAgain() { eventLoop.execute { self.proceed() } }

  func endForMemory(_ reason: String) {
    state.evict()
    disconnect(reason)
  }

  func countAgain() { tellHolding() }
}
