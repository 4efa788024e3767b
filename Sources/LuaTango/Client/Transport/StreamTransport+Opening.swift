import Copas
import LuaConnection
import MilongaIO
import MilongaLua
import MilongaScheduler

// How the connection is made: at first, and again after it was lost.
extension StreamTransport {
  /// A coroutine makes the connection.
  var isOpenedByCoroutine: Bool { attempts.isMadeByCoroutine }

  func hasHungUp() -> Bool {
    // The dispatcher may not have looked since.
    if case .failed = connection.receive(needed: 1, mayRead: true) { return true }
    return false
  }

  /// Makes the connection of `connect`. Nil when it is there.
  func openFirst(_ call: LuaCall, observer: Int32) throws(LuaFailure) -> LuaOutcome? {
    try begin(call, deadlineOfCall(), isFirst: true, observer)
  }

  func open(_ call: LuaCall, observer: Int32) throws(LuaFailure) -> LuaOutcome? {
    try join(call, deadlineOfCall(), observer)
  }

  private func deadlineOfCall() -> Int64 {
    MonotonicTime.deadline(after: configuration.timeout, from: MonotonicTime.now())
  }

  func proceedOpening(
    _ call: LuaCall, _ step: CallStep, observer: Int32
  ) throws(LuaFailure) -> LuaOutcome? {
    switch step {
    case .pause: return try connect(call)
    case .join:
      let deadline = Int64(try call.integer(at: -1))
      call.pop()
      if isReady { return nil }
      if loop.hasTimedOut {
        attempts.leave(loop.currentTask)
        throw failure(call, "timeout")
      }
      return try join(call, deadline, observer)
    default:
      switch try open(call) {
      case .ended(let outcome): return outcome
      case .again: return try connect(call)
      }
    }
  }

  func removed(_ task: TaskID) {
    guard let others = attempts.removed(task) else { return }
    connection?.close()
    wake(others)
  }

  private func join(
    _ call: LuaCall, _ deadline: Int64, _ observer: Int32
  ) throws(LuaFailure) -> LuaOutcome? {
    switch attempts.join(loop.isInside(call) ? loop.currentTask : nil) {
    case .make: return try begin(call, deadline, isFirst: false, observer)
    case .refused:
      throw failure(call, "the connection is being made; it cannot be used before that")
    case .wait:
      call.push(Int(deadline))
      loop.observeRemoval(by: observer)
      return loop.sleep(until: deadline, state: CallStep.join.rawValue)
    }
  }

  private func begin(
    _ call: LuaCall, _ deadline: Int64, isFirst: Bool, _ observer: Int32
  ) throws(LuaFailure) -> LuaOutcome? {
    let maker = loop.isInside(call) ? loop.currentTask : nil
    attempts.begin(
      ConnectionAttempts.Attempt(
        maker: maker, base: call.count, deadline: deadline, isFirst: isFirst))
    if maker != nil { loop.observeRemoval(by: observer) }
    return try connect(call)
  }

  /// What came of an attempt, as far as it has got.
  private enum Attempted {
    /// The connection is there (nil), or something has to be waited for.
    case ended(LuaOutcome?)
    /// It failed, the pause is over, and it may be tried again.
    case again
  }

  /// Makes a socket, and opens its connection; another one after each attempt that fails.
  private func connect(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    while true {
      guard let attempt = attempts.current else { throw failure(call, "closed") }
      call.count = attempt.base
      guard call.reserve(12) else { throw giveUp(call, "too many arguments") }
      pushNewSocket(call)
      opening = ConnectionOpening(configuration.opening, until: attempt.deadline)
      if case .ended(let outcome) = try open(call) { return outcome }
    }
  }

  private func open(_ call: LuaCall) throws(LuaFailure) -> Attempted {
    guard let attempt = attempts.current, let connection, var opening else {
      throw failure(call, "closed")
    }
    let progress: ConnectionOpening.Progress
    do throws(LuaFailure) {
      progress = try opening.proceed(
        call, connection.stream, socketAt: attempt.base + 1, suspends: attempt.maker != nil,
        state: CallStep.open.rawValue)
    } catch {
      // Ctrl-C.
      if opening.isConnecting {
        call.pop()
        throw giveUp(call, "interrupted!")
      }
      endAttempt()
      throw error
    }
    self.opening = opening
    switch progress {
    case .open:
      guard isOpen else { return try failed(call, "closed") }
      call.count = attempt.base
      wake(attempts.succeeded())
      self.opening = nil
      return .ended(nil)
    case .waits(let outcome):
      guard attempt.maker == nil || loop.mayWait else {
        throw giveUp(call, "attempt to yield across a C-call boundary")
      }
      return .ended(outcome)
    case .asks(let outcome): return .ended(outcome)
    case .failed(let failure): return try failed(call, failure)
    }
  }

  private func failed(
    _ call: LuaCall, _ failure: ConnectionOpening.Failure
  ) throws(LuaFailure) -> Attempted {
    switch failure {
    case .connect(let failure): return try failed(call, failure.text)
    case .tls(let reason): return try failed(call, reason)
    case .handshakeTimedOut: return try failed(call, "tango ssl handshake failed with: timeout")
    case .handshake(let reason):
      return try failed(call, "tango ssl handshake failed with: \(reason)")
    case .unwatchable(let error): return try failed(call, "\(error)")
    case .refused(let reason):
      guard isOpen else { return try failed(call, "closed") }
      throw giveUp(call, "not authorized" + (reason.map { ": \($0)" } ?? ""))
    case .authorizeFailed:
      guard isOpen else { return try failed(call, "closed") }
      let reason = call.stringIfString(at: -1) ?? call.typeName(at: -1)
      throw giveUp(call, "'authorize' failed: \(reason)")
    }
  }

  /// Tries again after a pause, if that is wanted and the time allows.
  private func failed(_ call: LuaCall, _ reason: String) throws(LuaFailure) -> Attempted {
    let now = MonotonicTime.now()
    guard let next = attempts.failed(now, part: Double.random(in: 0.5...1)) else {
      throw giveUp(call, reason)
    }
    connection.close()
    guard !attempts.isMadeByCoroutine else {
      return .ended(loop.sleep(until: next, state: CallStep.pause.rawValue))
    }
    guard WallClock.sleep(Double(next - now) / 1e9, isInterrupted: { call.takeInterruption() })
    else { throw giveUp(call, "interrupted!") }
    return .again
  }

  private func giveUp(_ call: LuaCall, _ reason: String) -> LuaFailure {
    endAttempt()
    return failure(call, reason)
  }

  private func endAttempt() {
    connection?.close()
    opening = nil
    wake(attempts.end())
  }

  private func failure(_ call: LuaCall, _ reason: String) -> LuaFailure {
    call.failure("\(peer): \(reason)")
  }

  private func wake(_ tasks: [TaskID]) {
    for task in tasks { loop.wake(task) }
  }
}
