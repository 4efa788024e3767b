import MilongaRPC
import RPCRuntime

// Calls of the other side that have to wait for those that run. Its messages are read on, because
// answers to this side's calls may be among them, and functions that run may wait for those.
extension PeerConnection {
  var tooManyCalls: String { "more than \(NumberedCalls<PendingCall>.limit) calls at a time" }

  private var hasPlace: Bool { running.count < settings.concurrency.limit }

  /// Whether a call that comes now may begin.
  var mayServe: Bool { waitingCalls.isEmpty && (hasPlace || !isLimited) }

  /// The numbers of the protocol are a limit, too: a call beyond them is an error of the peer.
  private var isLimited: Bool {
    settings.concurrency.limit < NumberedCalls<PendingCall>.limit
  }

  /// Whether the first call that waits may begin.
  var mayServeWaiting: Bool {
    !waitingCalls.isEmpty && (hasPlace || state.phase != .serving)
  }

  /// Lets a call wait.
  func keep(_ sequence: UInt8, _ payload: UnsafeRawBufferPointer) {
    guard running.count + waitingCalls.count < NumberedCalls<PendingCall>.limit else {
      return disconnect(tooManyCalls)
    }
    guard SystemMemory.has(payload.count) else {
      return disconnect("\(MemoryShortage()) for its call")
    }
    waitingCalls.append(sequence, payload)
    isHolding = true
  }

  /// Begins the first call that waits, if there is a place for it.
  ///
  /// - Returns: whether it has begun.
  func serveFirstWaiting() -> Bool {
    guard mayServeWaiting, let call = waitingCalls.takeFirst() else { return false }
    call.payload.withUnsafeBytes { serve(call.sequence, $0) }
    return true
  }
}
