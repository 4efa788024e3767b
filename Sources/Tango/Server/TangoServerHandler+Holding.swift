import MilongaRPC
import NIOCore
import RPCRuntime

// What a connection holds for its peer. It is told at the end of a turn that leaves something
// behind; so what is served at once is never counted.
extension TangoServerHandler: BufferHolding {
  /// Says what is held now. The connection may be ended afterwards.
  func tellHolding() {
    let channel = context?.channel
    // What a peer has called before it left is kept until it is carried out.
    let isOpen = !state.isEvicted && (channel?.isActive == true || state.hasLeft)
    let bytes =
      isOpen
      ? reader.memory + writer.buffer.count + state.order.bytes + (channel?.unsentBytes ?? 0) : 0
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
    guard keeper.isOver, let holder else { return false }
    return keeper.mustWait(holder)
  }

  func mayReadAgain() { eventLoop.execute { self.pauseOrGoOn() } }

  func countAgain() { tellHolding() }
}
