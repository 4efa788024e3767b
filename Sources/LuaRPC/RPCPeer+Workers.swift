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
    loop.main.pushRetained(library.workerFunction)
    guard pushUserdata(loop.main) else { return loop.main.pop() }
    loop.startThread(loop.main, arguments: 1, name: nil)
    loop.main.pop()
  }

  /// A worker has something to do.
  private func callWorker() {
    while let task = idleWorkers.popLast() {
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
      if reader == me {
        isReaderCalling = false
      } else {
        suspended[me] = nil
        endServing(me)
        // The function may have called on another connection, which observes the coroutine now.
        observe()
        flushSoon()
      }
    }
    if isReaderPaused, reader == me { isReaderPaused = false }
    while isOpen {
      clear(call)
      if isWriterWanted, writer == nil {
        isWriterWanted = false
        writer = me
      }
      if writer == me {
        if let outcome = write(me) { return outcome }
        continue
      }
      if reader == nil { reader = me }
      if reader == me {
        if let outcome = read(call, me) { return outcome }
        continue
      }
      guard idleWorkers.count < mostIdle || me == mainWorker else { return .results(0) }
      idleWorkers.append(me)
      return loop.sleep(until: .max, state: Step.wait.rawValue)
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

  /// Serves what comes, until something has to be waited for; nil when another look at the state is due.
  private func read(_ call: LuaCall, _ me: TaskID) -> LuaOutcome? {
    var hasReceived = false
    while isOpen {
      clear(call)
      if let outcome = pause() { return outcome }
      if !stream.received.isEmpty, let outcome = loop.turnOver(state: Step.wait.rawValue) {
        loop.turnEndObserver = loop.leavesOthersWaiting ? self : nil
        return outcome
      }
      var needed = 0
      let outcome = takeEvent { event -> LuaOutcome? in
        switch event {
        case .call(let sequence, let payload):
          lastCallBytes = payload.count
          return serve(call, base: Self.base, sequence: sequence, payload)
        case .answer(let caller, let status, let payload):
          deliver(call, to: caller, status, payload)
          return nil
        case .lateAnswer: grantNumber()
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
      if writer == me || isWriterWanted && writer == nil { return nil }
      guard isOpen else { return nil }
      let mayRead = stream.mayRead
      if !mayRead, stream.received.isEmpty { return wait(for: .read) }
      // What makes up messages counts with them.
      if hasReceived, let outcome = loop.turnOver(state: Step.wait.rawValue) { return outcome }
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
  private var hasMoved: Bool { stream.received.count != lastReceived }

  private func wait(for direction: Direction) -> LuaOutcome? {
    if isHolding || !stream.received.isEmpty {
      tellHolding()
      // It may be the one that had to go.
      guard isOpen else { return nil }
    }
    var deadline = MonotonicTime.never
    lastReceived = stream.received.count
    if direction == .read, lastReceived > 0, configuration.stallTimeout < .infinity {
      deadline = MonotonicTime.deadline(
        after: configuration.stallTimeout, from: MonotonicTime.now())
    }
    do throws(Errno) {
      return try stream.wait(for: direction, until: deadline, state: Step.wait.rawValue)
    } catch {
      disconnect("its socket cannot be watched: \(error)")
      return nil
    }
  }

  /// A peer that does not read its answers has to wait with its calls; but if it has to answer calls of
  /// this side, too, both would wait for ever.
  private func pause() -> LuaOutcome? {
    guard output.count > mostUnread, session.calls.count == 0 else { return nil }
    flush()
    guard isOpen, output.count > mostUnread else { return nil }
    isReaderPaused = true
    return loop.sleep(until: .max, state: Step.wait.rawValue)
  }

  /// The reader goes on although answers wait.
  func unpauseReader() {
    if isReaderPaused, let reader { loop.wake(reader) }
  }

  func noteUnknownAnswer(_ sequence: UInt8) {
    guard !hasToldOfUnknownAnswer else { return }
    hasToldOfUnknownAnswer = true
    configuration.log.warn(address, "an answer to call \(sequence), which nobody made, is dropped")
  }

  // MARK: Functions that wait

  /// The reader is about to run a function. What was answered before must not wait for it: it leaves when
  /// the function waits for something, and every now and then while functions only compute.
  private func prepareToCall(_ call: LuaCall) {
    isReaderCalling = true
    readerSequence = UInt8(
      truncatingIfNeeded: call.integerIfInteger(at: Self.base + Served.sequence) ?? 0)
    loop.turnEndObserver = self
    guard !output.isEmpty else { return }
    callsSinceFlush += 1
    guard callsSinceFlush & 15 == 0 else { return }
    let now = MonotonicTime.now()
    if now - lastFlush > longestDelay { flush() }
    lastFlush = now
  }

  func turnEnded() {
    // The function waits: somebody else has to read.
    if isReaderCalling, let task = reader {
      isReaderCalling = false
      reader = nil
      if isOpen {
        noteSuspended(task)
        callWorker()
      }
    }
    flush()
    if isHolding || isOpen && !stream.received.isEmpty { tellHolding() }
  }

  private func noteSuspended(_ task: TaskID) {
    guard suspended.count < mostSuspended else {
      return disconnect("more than \(mostSuspended) calls at a time")
    }
    suspended[task] = readerSequence
    if lastCallBytes > BufferKeeper.largeMessage { beginServing(task, lastCallBytes) }
  }

  // MARK: Writing

  /// Somebody has to wait until the other side takes more.
  func wantWriter() {
    guard writer == nil, !isWriterWanted else { return }
    isWriterWanted = true
    callWorker()
  }

  /// The writer's turn; nil when all is sent.
  private func write(_ me: TaskID) -> LuaOutcome? {
    switch stream.flush(&output) {
    case .wait(let direction):
      if let outcome = wait(for: direction) { return outcome }
    case .failed: close()
    case .done: break
    }
    writer = nil
    unpauseReader()
    return nil
  }
}

/// Workers that wait for something to do.
private let mostIdle = 4
/// As many calls as there are sequence numbers may wait for something.
private let mostSuspended = 256
/// Bytes of answers that may wait while more calls are taken.
private let mostUnread = 64 * 1024
/// Nanoseconds that an answer may wait for those to the calls behind it.
private let longestDelay: Int64 = 300_000
