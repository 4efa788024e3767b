import CMilongaLua
import CMilongaShims
import Copas
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

// The coroutines that serve a connection in the dispatcher.
extension RPCPeer {
  /// A worker's stack holds the peer's userdata and the call that it serves.
  private static let base = 1

  /// Starts one more worker.
  func startWorker() {
    guard loop.main.reserve(4) else { return }
    library.workerFunction.push(onto: loop.main)
    guard pushUserdata(loop.main) else { return loop.main.pop() }
    loop.startThread(loop.main, arguments: 1, name: nil)
    loop.main.pop()
  }

  /// A worker has something to do.
  private func callWorker() {
    while let task = roles.takeIdle() {
      if loop.wake(task) { return }
    }
    startWorker()
  }

  /// What a worker runs: with the userdata at 1, from its start to its end.
  ///
  /// - Parameter isNew: it runs for the first time.
  func work(_ call: LuaCall, isNew: Bool) -> LuaOutcome {
    guard let me = loop.currentTask, loop.isInside(call) else { return .results(0) }
    if isNew {
      observe()
    } else if call.phase != .resumed {
      returned(call, base: Self.base)
      if !roles.endCall(of: me) {
        if suspended.remove(me).wasLarge { tellHolding() }
        // The function may have called on another connection, which observes the coroutine now.
        observe()
        flushSoon()
      }
    }
    roles.awake(me)
    while isOpen {
      clear(call)
      switch roles.duty(of: me) {
      case .write:
        if let outcome = write(me) { return outcome }
      case .read:
        if let outcome = read(call, me) { return outcome }
      case .rest: return loop.sleep(until: .max, state: Step.wait.state)
      case .leave: return .results(0)
      }
    }
    // Closed by the program, perhaps behind our back.
    close()
    return .results(0)
  }

  /// Drops what a call has left on the stack.
  @inline(__always)
  private func clear(_ call: LuaCall) {
    // Cheaper than to set it to what it is.
    if call.count != Self.base { call.count = Self.base }
  }

  // MARK: Reading

  /// Serves what comes, until something has to be waited for; nil when another look at the state is
  /// due.
  private func read(_ call: LuaCall, _ me: TaskID) -> LuaOutcome? {
    var hasReceived = false
    while isOpen {
      clear(call)
      if let outcome = pause() { return outcome }
      if !stream.received.isEmpty, let outcome = loop.turnOver(state: Step.wait.state) {
        loop.turnEndObserver = loop.leavesOthersWaiting ? self : nil
        return outcome
      }
      var needed = 0
      let outcome = takeEvent { event -> LuaOutcome? in
        switch event {
        case .call(let sequence, let payload):
          current.bytes = payload.count
          return serve(call, base: Self.base, sequence: sequence, payload)
        case .answer(let caller, let status, let payload):
          deliver(call, to: caller, status, payload)
          return nil
        case .lateAnswer: grantNumbers()
        case .unknownAnswer(let sequence, _): noteUnknownAnswer(sequence)
        case .invalid(let error): disconnect(error.description)
        case .incomplete(let bytes): needed = bytes
        }
        return nil
      }
      if let outcome {
        prepareToCall(call)
        return outcome
      }
      guard needed > 0, isOpen else { continue }
      flush()
      if roles.shouldWrite(me) { return nil }
      guard isOpen else { return nil }
      let mayRead = stream.mayRead
      if !mayRead, stream.received.isEmpty { return wait(for: .read) }
      // What makes up messages counts with them.
      if hasReceived, let outcome = loop.turnOver(state: Step.wait.state) { return outcome }
      hasReceived = true
      if needed > BufferKeeper.largeMessage, let outcome = waitForRoom() { return outcome }
      switch receive(needed: needed, mayRead: mayRead) {
      case .done: continue
      case .wait(let direction):
        if !stream.received.isEmpty, loop.hasTimedOut, call.phase == .resumed, !hasMoved {
          disconnect(
            "no byte in \(configuration.stallTimeout) s in the middle of a message (stall_timeout)")
          return nil
        }
        return wait(for: direction)
      case .failed(let reason):
        if stream.received.isEmpty {
          close()
        } else {
          disconnect("\(reason) in the middle of a message")
        }
      }
    }
    return nil
  }

  /// Whether bytes have come since the last wait.
  private var hasMoved: Bool { stream.received.count != reception.lastCount }

  private func wait(for direction: Direction) -> LuaOutcome? {
    if isHolding || !stream.received.isEmpty {
      tellHolding()
      // It may be the one that had to go.
      guard isOpen else { return nil }
    }
    var deadline = MonotonicTime.never
    reception.lastCount = stream.received.count
    if direction == .read, reception.lastCount > 0, configuration.stallTimeout < .infinity {
      deadline = MonotonicTime.deadline(
        after: configuration.stallTimeout, from: MonotonicTime.now())
    }
    do throws(Errno) {
      return try stream.wait(for: direction, until: deadline, state: Step.wait.state)
    } catch {
      disconnect("its socket cannot be watched: \(error)")
      return nil
    }
  }

  /// A peer that does not read its answers has to wait with its calls; but if it has to answer
  /// calls of this side, too, both would wait for ever.
  private func pause() -> LuaOutcome? {
    guard output.count > mostUnread, session.calls.count == 0 else { return nil }
    flush()
    guard isOpen, output.count > mostUnread else { return nil }
    roles.sleepReading(.paused)
    return loop.sleep(until: .max, state: Step.wait.state)
  }

  /// The reader goes on although answers wait.
  func unpauseReader() {
    if roles.reading == .paused, let reader = roles.reader { loop.wake(reader) }
  }

  func noteUnknownAnswer(_ sequence: UInt8) {
    guard !reception.hasToldOfUnknownAnswer else { return }
    reception.hasToldOfUnknownAnswer = true
    configuration.log.warn(address, "an answer to call \(sequence), which nobody made, is dropped")
  }

  // MARK: Functions that wait

  /// The reader is about to run a function. What was answered before must not wait for it: it
  /// leaves when the function waits for something, and every now and then while functions only
  /// compute.
  private func prepareToCall(_ call: LuaCall) {
    roles.beginCall()
    current.sequence = UInt8(
      truncatingIfNeeded: call.integerIfInteger(at: Self.base + Served.sequence) ?? 0)
    loop.turnEndObserver = self
    guard !output.isEmpty else { return }
    current.callsSinceFlush += 1
    guard current.callsSinceFlush & 15 == 0 else { return }
    let now = MonotonicTime.now()
    if now - current.lastFlush > longestDelay { flush() }
    current.lastFlush = now
  }

  func turnEnded() {
    if let task = roles.giveUpReading(), isOpen {
      noteSuspended(task)
      callWorker()
    }
    flush()
    if isHolding || isOpen && !stream.received.isEmpty { tellHolding() }
  }

  private func noteSuspended(_ task: TaskID) {
    let bytes = current.bytes > BufferKeeper.largeMessage ? current.bytes : 0
    guard suspended.add(task, sequence: current.sequence, bytes: bytes) else {
      return disconnect("more than \(SuspendedCalls.limit) calls at a time")
    }
    if bytes > 0 { isHolding = true }
  }

  // MARK: Writing

  /// A worker has to wait until the other side takes more.
  func wantWriter() {
    if roles.wantWriter() { callWorker() }
  }

  /// The writer's turn; nil when all is sent.
  private func write(_ me: TaskID) -> LuaOutcome? {
    switch flushOutput() {
    case .wait(let direction):
      if let outcome = wait(for: direction) { return outcome }
    case .failed: close()
    case .done: break
    }
    roles.endWriting()
    unpauseReader()
    return nil
  }
}

/// Bytes of answers that may wait while more calls are taken.
private let mostUnread = 64 * 1024
/// Nanoseconds that an answer may wait for those to the calls behind it.
private let longestDelay: Int64 = 300_000
