import Copas
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

// Answers: who reads them, and how they come onto the stack.
extension TangoClient {
  /// Sends and receives until the answer to this call is there.
  func exchange(_ call: LuaCall, _ waiting: WaitingCall) throws(LuaFailure) -> CallProgress {
    while true {
      // The connection may have been lost, and another one made.
      guard calls.table.contains(waiting.id) else {
        passOnReading()
        throw closed(call)
      }
      switch try advanceInline(call, waiting, .exchange) {
      case .again: continue
      case .suspended(let outcome): return .unfinished(outcome)
      case .answer(let answer): return try take(call, answer)
      }
    }
  }

  enum Advance {
    case again
    /// The answer to the call is there.
    case answer(Answer)
    case suspended(LuaOutcome)
  }

  /// The same as ``advanceInline(_:_:_:)``, where speed does not matter so much.
  func advance(
    _ call: LuaCall, _ waiting: WaitingCall, _ step: CallStep
  ) throws(LuaFailure) -> Advance { try advanceInline(call, waiting, step) }

  /// Sends and receives as far as that goes, or waits.
  ///
  /// - Parameters:
  ///   - waiting: the call for which this is done; it is given up when its deadline has passed.
  ///   - step: what the call does when it runs again.
  @inline(__always)
  private func advanceInline(
    _ call: LuaCall, _ waiting: WaitingCall, _ step: CallStep
  ) throws(LuaFailure) -> Advance {
    // The call may have been added after the end, by a finalizer.
    guard isOpen else { throw fail(call, "closed") }
    if takeLoss(looks: false) { return .again }
    let isInside = loop.isInside(call)
    var directions: Readiness = .readable
    switch transport.flush() {
    case .done: break
    case .failed(let reason): throw fail(call, reason)
    case .wait(let direction):
      if isInside { startSender() } else if direction == .write { directions.insert(.writable) }
    }
    if isInside, let task = loop.currentTask, !calls.reads(task) {
      // Another coroutine reads.
      if isOverdue(call, waiting) { throw timeOut(call, waiting.id) }
      return .suspended(loop.sleep(until: waiting.deadline, state: step.rawValue))
    }
    switch transport.next {
    case .answer(let answer): return try handle(call, answer, waiting)
    case .invalid(let error): throw fail(call, "bad answer: \(error)")
    case .incomplete(let needed):
      // What the dispatcher knows of the socket counts only while it runs.
      let mayRead = !isInside || transport.mayRead
      if isInside, mayRead, let outcome = loop.turnOver(state: step.rawValue) {
        return .suspended(outcome)
      }
      switch transport.receive(needed: needed, mayRead: mayRead) {
      case .done:
        if Wire.answersInAnyOrder { try countVainRound(call, waiting) }
        return .again
      case .failed(let reason): throw fail(call, reason)
      case .wait(let direction):
        if isInside { return .suspended(try suspend(call, waiting, step, direction)) }
        if direction == .write { directions.insert(.writable) }
        try waitOutside(call, waiting, directions)
        return .again
      }
    }
  }

  @inline(__always)
  private func handle(
    _ call: LuaCall, _ answer: Answer, _ waiting: WaitingCall
  ) throws(LuaFailure) -> Advance {
    switch calls.deliver(answer, readerWaitsFor: waiting.id) {
    case .own: return .answer(answer)
    case .handOver(let task):
      if let task { loop.wake(task) }
    case .future(let future):
      deliver(answer, to: future)
    case .unwanted:
      transport.consume(answer)
      try countVainRound(call, waiting)
    }
    return .again
  }

  /// Whatever a server sends, deadlines are kept.
  private func countVainRound(
    _ call: LuaCall, _ waiting: WaitingCall
  ) throws(LuaFailure) {
    vainRounds &+= 1
    if vainRounds & 1023 == 0, MonotonicTime.now() >= waiting.deadline {
      throw timeOut(call, waiting.id)
    }
  }

  /// The coroutine has waited until its deadline.
  @inline(__always)
  private func isOverdue(_ call: LuaCall, _ waiting: WaitingCall) -> Bool {
    call.phase == .resumed && loop.hasTimedOut && MonotonicTime.now() >= waiting.deadline
  }

  /// Lets the running coroutine wait until the transport is ready.
  @inline(__always)
  private func suspend(
    _ call: LuaCall, _ waiting: WaitingCall, _ step: CallStep, _ direction: Direction
  ) throws(LuaFailure) -> LuaOutcome {
    if isOverdue(call, waiting) { throw timeOut(call, waiting.id) }
    do throws(Errno) {
      return try transport.wait(
        for: direction, until: transport.nextLook(before: waiting.deadline), step)
    } catch {
      throw fail(call, "\(error)")
    }
  }

  /// Lets the whole program wait until the transport is ready.
  private func waitOutside(
    _ call: LuaCall, _ waiting: WaitingCall, _ directions: Readiness
  ) throws(LuaFailure) {
    let failure: SocketFailure?
    do throws(LuaFailure) {
      failure = try SocketTimeouts.wait(
        transport.descriptor, for: directions,
        until: transport.nextLook(before: waiting.deadline), call)
    } catch {
      // Ctrl-C gives the call up; the connection can still be used.
      abandon(call, waiting.id, "interrupted!")
      throw error
    }
    switch failure {
    case nil: break
    case .timeout?:
      if MonotonicTime.now() >= waiting.deadline { throw timeOut(call, waiting.id) }
    case .some(let failure): throw fail(call, failure.text)
    }
  }

  /// When the way to the server was lost, the calls that were sent fail: they may have run, and are
  /// not sent again.
  ///
  /// - Parameter looks: asks the system, and not only what is known.
  /// - Returns: whether that has happened.
  @inline(__always)
  @discardableResult
  func takeLoss(looks: Bool) -> Bool {
    guard let isKept = transport.takeLoss(looks: looks) else { return false }
    for call in calls.table.removeAll(but: isKept) { tellEnd(of: call, "closed") }
    return true
  }

  /// The reader has its answer, or gives up: another coroutine reads on.
  @inline(__always)
  func passOnReading() {
    if let reader = calls.reader, reader == loop.currentTask { wakeNextReader() }
  }

  @inline(__always)
  func wakeNextReader() {
    var next: Answer?
    if Wire.answersInAnyOrder, !calls.isIdle, isOpen { next = receivedAnswer() }
    if let task = calls.passOn(next: next) { loop.wake(task) }
  }

  /// The next answer, if it has come.
  private func receivedAnswer() -> Answer? {
    if case .answer(let answer) = transport.next { return answer }
    if case .done = transport.receive(needed: 1, mayRead: true),
      case .answer(let answer) = transport.next
    {
      return answer
    }
    return nil
  }

  // MARK: Reading answers

  /// Reads the answer onto the stack.
  @inline(__always)
  private func take(_ call: LuaCall, _ answer: Answer) throws(LuaFailure) -> CallProgress {
    defer { wakeNextReader() }
    let body = transport.body(of: answer)
    guard body.count <= configuration.limits.frameBytes else {
      transport.consume(answer)
      throw call.failure("\(peer): \(tooLong)")
    }
    isReading = true
    if !configuration.codec.unserialize.isEmpty {
      configuration.codec.unserialize.push(onto: call)
      call.push(body)
      endReading(answer)
      return .unfinished(
        .call(arguments: 1, results: 1, state: CallStep.unserialize.rawValue))
    }
    do throws(CodecError) {
      try configuration.codec.reads.read(body, limits: configuration.limits.codec, call)
    } catch {
      endReading(answer)
      if Wire.isSpoiledByBadAnswers { throw fail(call, "bad answer: \(error)") }
      throw call.failure("tango: bad answer: \(error)")
    }
    endReading(answer)
    return try finish(call, answerAt: WaitingCall.answer)
  }

  @inline(__always)
  private func endReading(_ answer: Answer) {
    isReading = false
    transport.consume(answer)
    if endsAfterReading { endAfterReading() }
  }

  private func endAfterReading() {
    endsAfterReading = false
    // A finalizer may have called since.
    end("closed")
  }

  private var tooLong: String {
    "bad answer: longer than \(configuration.limits.frameBytes) bytes"
  }

  /// Keeps the answer until the program asks for it, as it came.
  func deliver(_ answer: Answer, to future: TangoFuture) {
    let body = transport.body(of: answer)
    isReading = true
    if body.count > configuration.limits.frameBytes {
      future.fail(tooLong)
    } else if future.wantsAnswer, loop.main.reserve(2) {
      loop.main.push(body)
      // The push may have collected the future.
      if future.wantsAnswer {
        future.answer(LuaStored(popping: loop.main))
      } else {
        loop.main.pop()
      }
    }
    endReading(answer)
    for waiter in future.waiters { loop.wake(waiter) }
  }

  /// Reads the answer that the future has kept, onto the stack behind the future. Runs again in
  /// phase `.returned` with the table that the program's own `unserialize` made.
  func unpack(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> CallProgress {
    if !configuration.codec.unserialize.isEmpty {
      configuration.codec.unserialize.push(onto: call)
      future.pushMessage(onto: call)
      return .unfinished(
        .call(arguments: 1, results: 1, state: CallStep.unserialize.rawValue))
    }
    future.pushMessage(onto: call)
    let bytes = call.bytesIfString(at: -1)!
    do throws(CodecError) {
      try configuration.codec.reads.read(bytes, limits: configuration.limits.codec, call)
    } catch {
      throw call.failure("tango: bad answer: \(error)")
    }
    return try finish(call, answerAt: 3)
  }

  /// The answer that `unserialize` returned makes way for its elements.
  func unserialized(_ call: LuaCall, answerAt index: Int) throws(LuaFailure) -> CallProgress {
    guard call.type(at: -1) == .table else {
      throw call.failure("tango: unserialize returned no table")
    }
    call.spreadElements(limit: configuration.limits.arguments + 1)
    return try finish(call, answerAt: index)
  }

  /// The answer is on the stack: a status at this place, then results or an error value.
  @inline(__always)
  private func finish(_ call: LuaCall, answerAt index: Int) throws(LuaFailure) -> CallProgress {
    if call.count >= index, call.type(at: index) == .boolean, call.boolean(at: index) {
      return .results(call.count - index)
    }
    call.count = index + 1
    throw call.type(at: -1) == .string ? call.failureWithPosition() : .raised
  }
}
