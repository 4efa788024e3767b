import MilongaScheduler

/// The answer to a call that the program may ask for later.
final class TangoFuture {
  enum State {
    case pending
    /// The message as it came, a string in the registry.
    case answered(Int32)
    case failed(String)
  }

  private(set) var state = State.pending
  /// The call's number.
  var id = 0
  /// When to give up, in nanoseconds of the monotonic clock.
  var deadline = Int64.max
  /// The coroutines that wait for it.
  var waiters: [TaskID] = []
  /// The request may wait for others to leave with it.
  var mayRest = false
  /// Lua has collected it, so the program cannot ask for it.
  private var isCollected = false

  var isPending: Bool {
    if case .pending = state { return true }
    return false
  }

  /// The answer would be kept.
  var wantsAnswer: Bool { isPending && !isCollected }

  /// - Parameter body: the message's place in the registry.
  func answer(_ body: Int32) { state = .answered(body) }

  func fail(_ reason: String) {
    if isPending { state = .failed(reason) }
  }

  /// Lua has collected it. Returns the place of the message, which is not needed any more.
  func collected() -> Int32? {
    isCollected = true
    guard case .answered(let body) = state else { return nil }
    state = .failed("collected")
    return body
  }
}
