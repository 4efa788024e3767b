import Copas
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler

extension TangoClientConnection {
  /// A connection that is being made, by one coroutine; others wait for it.
  struct Attempt {
    /// Who makes it: a coroutine, or (`nil`) the program itself.
    let task: TaskID?
    /// The values on the stack before it began; then comes the socket.
    let base: Int
    let deadline: Int64
    /// That of `connect`, which is not repeated.
    let isFirst: Bool
    var opening: ConnectionOpening
  }

  /// Makes the connection of `connect`. Nil when it is there.
  func connectFirst(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    try startAttempt(call, deadlineOfCall(), isFirst: true)
  }

  /// Makes a new connection if there is none and the program wants that. Nil when there is one.
  func ensureConnection(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    if isOpen, attempt == nil {
      guard configuration.reconnects, isIdle, hasHungUp() else { return nil }
      end("closed")
    }
    guard configuration.reconnects else { throw call.failure("\(peer): closed") }
    try loop.checkMayWait(call)
    return try joinAttempt(call, deadlineOfCall())
  }

  private func deadlineOfCall() -> Int64 {
    MonotonicTime.deadline(after: configuration.timeout, from: MonotonicTime.now())
  }

  /// Whether the server has closed the connection while nobody used it: a call would be lost.
  private func hasHungUp() -> Bool {
    // The dispatcher may not have looked since.
    if case .failed = connection.receive(needed: 1, mayRead: true) { return true }
    return false
  }

  private func joinAttempt(
    _ call: LuaCall, _ deadline: Int64
  ) throws(LuaFailure) -> LuaOutcome? {
    guard attempt != nil else { return try startAttempt(call, deadline, isFirst: false) }
    guard loop.isInside(call), let task = loop.currentTask else {
      throw call.failure("\(peer): the connection is being made; it cannot be used before that")
    }
    call.push(Int(deadline))
    waitingForConnection.append(task)
    loop.observeRemoval(by: observerNumber)
    return loop.sleep(until: deadline, state: Step.othersConnect.rawValue)
  }

  private func startAttempt(
    _ call: LuaCall, _ deadline: Int64, isFirst: Bool
  ) throws(LuaFailure) -> LuaOutcome? {
    let task = loop.isInside(call) ? loop.currentTask : nil
    attempt = Attempt(
      task: task, base: call.count, deadline: deadline, isFirst: isFirst,
      opening: ConnectionOpening(configuration.opening, until: deadline))
    if task != nil { loop.observeRemoval(by: observerNumber) }
    return try connect(call)
  }

  /// Makes a socket, and opens its connection.
  private func connect(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    guard let attempt else { throw call.failure("\(peer): closed") }
    call.count = attempt.base
    guard call.reserve(12) else { throw giveUp(call, "too many arguments") }
    pushNewSocket(call)
    self.attempt!.opening = ConnectionOpening(configuration.opening, until: attempt.deadline)
    return try open(call)
  }

  /// Goes on with making a connection. Nil when it is there, and the stack as it was before.
  func establish(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    switch Step(rawValue: call.step) {
    case .open: return try open(call)
    case .pause: return try connect(call)
    default:
      let deadline = Int64(try call.integer(at: -1))
      call.pop()
      if isOpen, attempt == nil { return nil }
      if loop.hasTimedOut { throw call.failure("\(peer): timeout") }
      return try joinAttempt(call, deadline)
    }
  }

  private func open(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    guard var attempt, let connection else { throw call.failure("\(peer): closed") }
    let progress: ConnectionOpening.Progress
    do throws(LuaFailure) {
      progress = try attempt.opening.proceed(
        call, connection.stream, socketAt: attempt.base + 1, suspends: attempt.task != nil,
        state: Step.open.rawValue)
    } catch {
      // Ctrl-C.
      if attempt.opening.isConnecting {
        call.pop()
        throw giveUp(call, "interrupted!")
      }
      connection.close()
      endAttempt()
      throw error
    }
    self.attempt = attempt
    switch progress {
    case .open:
      guard isOpen else { return try failed(call, "closed") }
      return established(call)
    case .waits(let outcome):
      guard attempt.task == nil || loop.mayWait else {
        throw giveUp(call, "attempt to yield across a C-call boundary")
      }
      return outcome
    case .asks(let outcome): return outcome
    case .failed(let failure): return try failed(call, failure)
    }
  }

  private func failed(
    _ call: LuaCall, _ failure: ConnectionOpening.Failure
  ) throws(LuaFailure) -> LuaOutcome? {
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

  private func established(_ call: LuaCall) -> LuaOutcome? {
    call.count = attempt!.base
    pause = shortestPause
    endAttempt()
    return nil
  }

  /// Tries again after a pause, if that is wanted and the time allows.
  private func failed(_ call: LuaCall, _ reason: String) throws(LuaFailure) -> LuaOutcome? {
    guard let attempt, !attempt.isFirst else { throw giveUp(call, reason) }
    connection.close()
    let now = MonotonicTime.now()
    // Clients that lost the same server do not come back all at once.
    let next = MonotonicTime.deadline(after: pause * Double.random(in: 0.5...1), from: now)
    guard next < attempt.deadline else { throw giveUp(call, reason) }
    pause = min(2 * pause, longestPause)
    guard attempt.task == nil else {
      return loop.sleep(until: next, state: Step.pause.rawValue)
    }
    guard WallClock.sleep(Double(next - now) / 1e9, isInterrupted: { call.takeInterruption() })
    else { throw giveUp(call, "interrupted!") }
    return try connect(call)
  }

  private func giveUp(_ call: LuaCall, _ reason: String) -> LuaFailure {
    connection?.close()
    endAttempt()
    return call.failure("\(peer): \(reason)")
  }

  private func endAttempt() {
    attempt = nil
    for task in waitingForConnection { loop.wake(task) }
    waitingForConnection = []
  }

  /// A coroutine was removed while it waited.
  func attemptEnded(by task: TaskID) {
    waitingForConnection.removeAll { $0 == task }
    guard let attempt, attempt.task == task else { return }
    connection?.close()
    endAttempt()
  }
}

/// Seconds between attempts at most.
private let longestPause = 5.0
