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
      bytes += lock.withLock { output.bytes } + (context?.channel.unsentBytes ?? 0)
    }
    let serving = largeCalls.values.reduce(0, +)
    isHolding = bytes + serving > 0
    if holder == nil {
      guard isHolding else { return }
      holder = BufferHolder(self, asksToCount: true)
    }
    if isOpen || serving > 0 {
      keeper.set(holder!, bytes: bytes, serving: serving)
    } else {
      keeper.remove(holder!)
    }
  }

  /// A large call has been begun; what follows tells of it.
  func beginServing(_ bytes: Int, before: Int) {
    guard bytes > BufferKeeper.largeMessage, lastTask > before else { return }
    largeCalls[lastTask] = bytes
    isHolding = true
  }

  /// The function of a call has ended.
  func endServing(_ task: Int) {
    guard !largeCalls.isEmpty, largeCalls.removeValue(forKey: task) != nil else { return }
    tellHolding()
  }

  /// The rest of a large message has to wait.
  var mustWaitForRoom: Bool {
    guard keeper.isOver, let holder, received.readableBytes > BufferKeeper.largeMessage else {
      return false
    }
    return keeper.mustWait(holder)
  }

  func mayReadAgain() { eventLoop.execute { self.proceed() } }

  func endForMemory(_ reason: String) {
    state.evict()
    disconnect(reason)
  }

  func countAgain() { tellHolding() }
}
