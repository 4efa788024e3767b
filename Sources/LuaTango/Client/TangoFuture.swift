import MilongaLua
import MilongaScheduler

/// The answer to a call that the program may ask for later.
final class TangoFuture {
  enum State {
    case pending
    /// The message is kept.
    case answered
    case failed(String)
  }

  private(set) var state = State.pending
  /// The answer as it came, a string; empty while there is none.
  private var message = LuaStored()
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

  func answer(_ message: consuming LuaStored) {
    self.message = message
    state = .answered
  }

  func pushMessage(onto call: LuaCall) { message.push(onto: call) }

  func fail(_ reason: String) {
    if isPending { state = .failed(reason) }
  }

  /// Lua has collected it, so its message is not needed any more.
  func collected() {
    isCollected = true
    guard case .answered = state else { return }
    state = .failed("collected")
    message = LuaStored()
  }
}
