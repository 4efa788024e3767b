import CMilongaLua
import CMilongaShims
import LuaCodec
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler

// This side's calls. The stack holds the peer's userdata, the function's name and the arguments;
// once the call is sent, the userdata and what is in ``Waiting``, then the answer's status and its
// values.
extension RPCPeer {
  /// The places of the stack while a call waits for its answer.
  private enum Waiting {
    /// The call's id, an integer.
    static let id = 2
    static let deadline = 3
    static let status = 4
  }

  /// Performs the call on the stack; runs again until it has the results. ``finished`` says whether
  /// the outcome is that.
  func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    finished = nil
    try loop.requireOwnResumption(call, "rpc")
    switch call.phase {
    case .entered: return try begin(call)
    case .resumed:
      if case .number = Step(call) { return try begin(call) }
      return try awaken(call)
    case .returned, .failed:
      // A call of the other side was served meanwhile.
      guard case .served(let base) = Step(call) else { throw .raised }
      returned(call, base: base)
      call.count = base
      return try goOn(call)
    }
  }

  func canSuspend(_ call: LuaCall) -> Bool { loop.isInside(call) && loop.mayWait }

  private func begin(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard isOpen else { return fail(call, "closed") }
    guard !reception.isReading else {
      throw call.failure("rpc: a finalizer cannot call while a message is being read")
    }
    let task = canSuspend(call) ? loop.currentTask : nil
    let hasKept = task.map { numbers.take($0) } ?? false
    if !hasKept, !hasFreeNumber {
      guard let task else { return try goOn(call) }
      observe()
      numbers.wait(task, isNew: call.phase == .entered)
      return loop.sleep(until: .max, state: Step.number.state)
    }
    lastCallID += 1
    let id = lastCallID
    try send(call, Caller(task: task, state: call.state, id: id))
    call.count = 1
    call.push(id)
    call.push(
      Int(MonotonicTime.deadline(after: configuration.timeout, from: MonotonicTime.now())))
    guard task != nil else { return try exchange(call) }
    flushSoon()
    unpauseReader()
    observe()
    return try sleep(call)
  }

  private var hasFreeNumber: Bool {
    numbers.hasFree(used: session.calls.count, limit: NumberedCalls<Caller>.limit)
  }

  private func send(_ call: LuaCall, _ caller: Caller) throws(LuaFailure) {
    let top = call.count
    var failedAt = 2
    do throws(GraphFailure) {
      try collect(
        .call, sequence: { session.calls.add(caller)! },
        payload: { (writer: inout LuatobinWriter) throws(GraphFailure) in
          try write(call, from: 2, to: top, failedAt: &failedAt, &writer)
        })
    } catch {
      grantNumbers()
      call.count = top
      let name = call.stringIfString(at: 2) ?? "?"
      if name == "\(LuaRPCFunction.build.name)" {
        throw call.failure("rpc: newexec\(error.place): \(error.reason)")
      }
      throw call.failure(
        "rpc: argument #\(failedAt - 2)\(error.place) of '\(name)': \(error.reason)")
    }
  }

  /// Numbers may be free: the coroutines that have waited longest get them.
  func grantNumbers() {
    numbers.grant(used: session.calls.count, limit: NumberedCalls<Caller>.limit, loop.wake)
  }

  // MARK: Waiting in the dispatcher

  private func sleep(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    loop.sleep(until: Int64(try call.integer(at: Waiting.deadline)), state: Step.wait.state)
  }

  /// The coroutine runs again: the answer is on its stack, or the time is over.
  private func awaken(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.count >= Waiting.status { return try finish(call) }
    guard loop.hasTimedOut else { return try sleep(call) }
    return try timeOut(call)
  }

  private func timeOut(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let id = try call.integer(at: Waiting.id)
    session.calls.abandon { $0.id == id }
    return fail(call, "timeout")
  }

  /// The reader hands an answer to its caller.
  func deliver(
    _ call: LuaCall, to caller: Caller, _ status: LuaRPCStatus, _ payload: UnsafeRawBufferPointer
  ) {
    grantNumbers()
    guard let task = caller.task else {
      arrived[caller.id] = Array(payload)
      return
    }
    let top = call.count
    pushAnswer(call, status, payload)
    let count = Int32(call.count - top)
    if lua_checkstack(caller.state, count + 8) != 0 {
      lua_xmove(call.state, caller.state, count)
    } else {
      call.count = top
      lua_pushinteger(caller.state, AnswerStatus.closed)
    }
    loop.wake(task)
  }

  /// Pushes an answer's status and its values.
  private func pushAnswer(
    _ call: LuaCall, _ status: LuaRPCStatus, _ payload: UnsafeRawBufferPointer
  ) {
    let top = call.count
    call.push(Int(status.rawValue))
    do throws(ReadFailure) {
      _ = try readValues(call, payload, skipping: 1)
    } catch {
      call.count = top
      lua_pushinteger(call.state, AnswerStatus.unreadable)
      call.push("rpc: cannot read the answer: \(error.text)")
      if case .malformed(let text) = error { disconnect("a malformed answer: \(text)") }
    }
  }

  // MARK: Waiting outside the dispatcher

  /// Goes on with a call that reads by itself: it has been sent, or waits for a sequence number.
  private func goOn(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.type(at: Waiting.id) == .string ? try waitForNumber(call) : try exchange(call)
  }

  private func waitForNumber(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    while isOpen {
      if hasFreeNumber { return try begin(call) }
      if let outcome = try serveNext(call, id: 0, deadline: MonotonicTime.never) { return outcome }
    }
    return fail(call, "closed")
  }

  /// Reads until the answer to this call is there.
  private func exchange(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let id = try call.integer(at: Waiting.id)
    let deadline = Int64(try call.integer(at: Waiting.deadline))
    while true {
      if let answer = arrived.removeValue(forKey: id) {
        guard let answer else { return fail(call, "closed") }
        answer.withUnsafeBytes { pushAnswer(call, LuaRPCStatus(rawValue: $0[0]), $0) }
      }
      if call.count >= Waiting.status {
        // Calls that were served meanwhile are answered before this one goes on.
        if hasFlushed() { return try finish(call) }
        if let outcome = try serveNext(call, id: id, deadline: MonotonicTime.never) {
          return outcome
        }
        continue
      }
      guard isOpen else { return fail(call, "closed") }
      if let outcome = try serveNext(call, id: id, deadline: deadline) { return outcome }
    }
  }

  /// Sends what was collected; whether nothing is left.
  private func hasFlushed() -> Bool {
    guard isOpen, !output.isEmpty else { return true }
    hasSent = true
    if case .failed = flushOutput() { close() }
    return output.isEmpty
  }

  /// Handles the next message, or waits for it. An outcome when a function has to be called, or the
  /// time is over.
  private func serveNext(
    _ call: LuaCall, id: Int, deadline: Int64
  ) throws(LuaFailure) -> LuaOutcome? {
    guard !reception.isReading else {
      throw call.failure("rpc: a finalizer cannot call while a message is being read")
    }
    let base = call.count
    var needed = 0
    let outcome = takeEvent { event -> LuaOutcome? in
      switch event {
      case .call(let sequence, let payload):
        if let outcome = serve(call, base: base, sequence: sequence, payload) { return outcome }
        call.count = base
      case .answer(let caller, let status, let payload):
        // All else that was read comes first: it may be long until the next call reads.
        if caller.task == nil, caller.id == id, isLast(payload) {
          grantNumbers()
          pushAnswer(call, status, payload)
        } else {
          deliver(call, to: caller, status, payload)
        }
      case .lateAnswer: grantNumbers()
      case .unknownAnswer(let sequence, _): noteUnknownAnswer(sequence)
      case .invalid(let error): disconnect(error.description)
      case .incomplete(let bytes): needed = bytes
      }
      return nil
    }
    if let outcome {
      // The function may take its time.
      _ = hasFlushed()
      return outcome
    }
    guard needed > 0, isOpen else { return nil }
    var waits: Readiness = []
    hasSent = hasSent || !output.isEmpty
    switch flushOutput() {
    case .done: break
    case .wait(let direction): waits.insert(direction.readiness)
    case .failed:
      close()
      return nil
    }
    switch receive(needed: needed, mayRead: true) {
    case .done: return nil
    case .failed(let reason):
      if stream.received.isEmpty {
        close()
      } else {
        disconnect("\(reason) in the middle of a message")
      }
      return nil
    case .wait(let direction):
      waits.insert(direction.readiness)
      let failure = try waitForPeer(call, waits, until: deadline)
      if failure == .timeout { return try timeOut(call) }
      if let failure { disconnect(failure.text) }
      return nil
    }
  }

  /// Ctrl-C gives the call up; the connection can still be used.
  private func waitForPeer(
    _ call: LuaCall, _ readiness: Readiness, until deadline: Int64
  ) throws(LuaFailure) -> SocketFailure? {
    do throws(LuaFailure) {
      return try SocketTimeouts.wait(stream.descriptor, for: readiness, until: deadline, call)
    } catch {
      let id = try call.integer(at: Waiting.id)
      session.calls.abandon { $0.id == id }
      throw error
    }
  }

  /// Whether nothing was received after the message with this payload.
  private func isLast(_ payload: UnsafeRawBufferPointer) -> Bool {
    reception.end == payload.baseAddress.map { $0 + payload.count }
  }

  // MARK: Results

  /// The answer is on the stack.
  private func finish(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let status = try call.integer(at: Waiting.status)
    let count = call.count - Waiting.status
    switch lua_Integer(status) {
    case AnswerStatus.closed: return fail(call, "closed")
    case AnswerStatus.unreadable: throw .raised
    default: break
    }
    let wire = LuaRPCStatus(rawValue: UInt8(truncatingIfNeeded: status))
    if wire == .results {
      finished = count
      return .results(count)
    }
    if wire == .error {
      call.count = Waiting.status + 1
      guard call.type(at: -1) == .string else { throw .raised }
      call.push("Error in remote call:\n")
      call.insert(at: -2)
      call.concatenate(2)
      throw .raised
    }
    let text = count > 0 && call.type(at: Waiting.status + 1) == .string
    call.count = Waiting.status + (text ? 1 : 0)
    call.pushNil()
    call.push(wire.message ?? "bad status \(status)")
    if text { call.pushValue(at: Waiting.status + 1) }
    finished = text ? 3 : 2
    return .results(text ? 3 : 2)
  }

  private func fail(_ call: LuaCall, _ reason: StaticString) -> LuaOutcome {
    call.pushNil()
    call.push(reason)
    finished = 2
    return .results(2)
  }
}
