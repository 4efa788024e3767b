import CMilongaLua
import CMilongaShims
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
    var handshakeDeadline = Int64.max
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
    attempt = Attempt(task: task, base: call.count, deadline: deadline, isFirst: isFirst)
    if task != nil { loop.observeRemoval(by: observerNumber) }
    return try connect(call)
  }

  /// Makes a socket, and has `copas.connect` or the socket's own `connect` do the waiting.
  private func connect(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    guard let attempt else { throw call.failure("\(peer): closed") }
    call.count = attempt.base
    guard call.reserve(12) else { throw giveUp(call, "too many arguments") }
    let socket = pushNewSocket(call)
    let seconds =
      attempt.deadline == MonotonicTime.never
      ? Double.infinity : max(0.001, MonotonicTime.seconds(until: attempt.deadline))
    socket.pointee.timeouts.block = seconds
    socket.pointee.copasTimeouts.connect = seconds
    if attempt.task != nil {
      loop.pushConnect(call)
    } else {
      call.push("connect")
      guard milonga_gettable(call.state, Int32(attempt.base + 1)) == LUA_OK else { throw .raised }
    }
    call.pushValue(at: attempt.base + 1)
    call.push(configuration.address)
    call.push(configuration.port)
    return .protectedCall(arguments: 3, results: 2, state: Step.connect.rawValue)
  }

  /// Goes on with making a connection. Nil when it is there, and the stack as it was before.
  func establish(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    switch Step(rawValue: call.step) {
    case .connect: return try connected(call)
    case .handshake: return try shake(call)
    case .authorize: return try authorized(call)
    case .pause: return try connect(call)
    default:
      let deadline = Int64(try call.integer(at: -1))
      call.pop()
      if isOpen, attempt == nil { return nil }
      if loop.hasTimedOut { throw call.failure("\(peer): timeout") }
      return try joinAttempt(call, deadline)
    }
  }

  private func connected(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    guard let attempt else { throw call.failure("\(peer): closed") }
    guard call.phase == .returned, call.boolean(at: -2) else {
      return try failed(call, call.stringIfString(at: -1) ?? "unknown error")
    }
    let socket = connection.socket
    try? socket.pointee.socket.set(.noDelay, to: 1)
    socket.pointee.timeouts.block = -1
    guard let context = configuration.tls else { return authorize(call) }
    guard connection.stream.startTLS(call, socket: attempt.base + 1, context) else {
      return try failed(call, call.stringIfString(at: -1) ?? "unknown error")
    }
    if SocketAddress(numeric: configuration.address, port: 0) == nil {
      connection.stream.setServerName(configuration.address)
    }
    let deadline = MonotonicTime.deadline(
      after: configuration.handshakeTimeout, from: MonotonicTime.now())
    self.attempt!.handshakeDeadline = min(attempt.deadline, deadline)
    return try shake(call)
  }

  private func shake(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    guard let attempt, let connection else { throw call.failure("\(peer): closed") }
    let handshake: StreamConnection.Handshake
    do throws(LuaFailure) {
      handshake = try connection.stream.handshake(
        call, until: attempt.handshakeDeadline, suspends: attempt.task != nil,
        state: Step.handshake.rawValue)
    } catch {
      // Ctrl-C.
      connection.close()
      endAttempt()
      throw error
    }
    switch handshake {
    case .done: return authorize(call)
    case .unfinished(let outcome): return outcome
    case .timedOut: return try failed(call, "tango ssl handshake failed with: timeout")
    case .failed(let reason):
      return try failed(call, "tango ssl handshake failed with: \(reason)")
    case .unwatchable(let error): return try failed(call, "\(error)")
    }
  }

  /// Asks the program about the server, if it wants to be asked.
  private func authorize(_ call: LuaCall) -> LuaOutcome? {
    guard let authorize = configuration.authorize else { return established(call) }
    call.pushRetained(authorize)
    connection.stream.pushPeer(onto: call)
    return .protectedCall(arguments: 1, results: 2, state: Step.authorize.rawValue)
  }

  private func authorized(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    guard attempt != nil else { throw call.failure("\(peer): closed") }
    guard isOpen else { return try failed(call, "closed") }
    if call.phase == .returned, call.boolean(at: -2) { return established(call) }
    let reason = call.stringIfString(at: -1)
    guard call.phase == .returned else {
      throw giveUp(call, "'authorize' failed: \(reason ?? call.typeName(at: -1))")
    }
    throw giveUp(call, "not authorized" + (reason.map { ": \($0)" } ?? ""))
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
