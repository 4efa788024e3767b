import CMilongaLua
import CMilongaShims
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

// A step of the dispatcher: it waits for readiness, and gives each task that is ready one turn.
extension CopasLoop {
  /// Nothing waits for a descriptor or a deadline, and no task is ready. A timeout is nothing to
  /// wait for, unless a coroutine is asleep that its callback could wake.
  var isFinished: Bool {
    scheduler.readyCount == 0 && scheduler.waitingForDescriptor == 0
      && scheduler.sleeping == timeouts.count && roundEndObservers.isEmpty
      && (timeouts.count == 0 || asleepForEver == 0)
      && (pendingOffThread.value == 0 || !offThread.hasWantedWork(exists: scheduler.exists))
  }

  /// Threads that only `copas.wakeup` gets up.
  var asleepForEver: Int {
    scheduler.taskCount - scheduler.readyCount - scheduler.waitingForDescriptor
      - scheduler.sleeping - (current == nil ? 0 : 1)
  }

  /// Waits for something to happen, at most until `deadline`, and gives each task that it concerns
  /// a turn.
  ///
  /// - Returns: whether a descriptor became ready.
  func step(until deadline: Int64) throws(LuaFailure) -> Bool {
    isStepping = true
    defer { isStepping = false }
    if !roundEndObservers.isEmpty { tellRoundEnd() }
    var handled = false
    let milliseconds = scheduler.readyCount == 0 ? patience(until: deadline) : 0
    let isWorkElsewhere = pendingOffThread.value > 0
    // Threads that only hand things to each other need no system call for every turn.
    if milliseconds != 0 || scheduler.waitingForDescriptor > 0 || isWorkElsewhere {
      handled = try look(milliseconds: milliseconds)
    }
    let begin = statistics == nil ? 0 : MonotonicTime.now()
    defer { if begin != 0 { statistics?.add(MonotonicTime.now() - begin) } }
    try raiseInterruption()
    if isWorkElsewhere { offThread.deliver(scheduler) }
    if scheduler.nextDeadline != nil { scheduler.expire(MonotonicTime.now()) }
    if scheduler.readyCount > 0 {
      idleCollection.isDue = true
      scheduler.runTurns(run)
      idleCollection.roundEnded(memory, pool) { milonga_collect(main.state) }
    } else if !handled {
      idleCollection.run(memory) { milonga_collect(main.state) }
    }
    return handled
  }

  /// How long nothing need happen, in milliseconds; -1 for ever.
  @inline(__always)
  private func patience(until deadline: Int64) -> Int32 {
    let wake = min(deadline, scheduler.nextDeadline ?? MonotonicTime.never)
    let milliseconds =
      wake == MonotonicTime.never
      ? -1 : MonotonicTime.milliseconds(until: wake, from: MonotonicTime.now())
    let waitsLong = !(0...IdleCollection.delay ~= milliseconds)
    return idleCollection.isDue && waitsLong ? IdleCollection.delay : milliseconds
  }

  /// Waits for descriptors; whether one became ready.
  private func look(milliseconds: Int32) throws(LuaFailure) -> Bool {
    var handled = false
    do throws(Errno) {
      try readiness.wait(milliseconds: milliseconds) { event in
        handled = true
        let readiness = event.readiness
        scheduler.notify(
          descriptor: Int32(truncatingIfNeeded: event.tag),
          generation: UInt32(truncatingIfNeeded: event.tag >> 32),
          readable: readiness.contains(.readable), writable: readiness.contains(.writable),
          hangup: readiness.contains(.hangup))
        if readiness.contains(.hangup) { tellHangup(event.tag) }
      }
    } catch {
      throw main.failure("waiting for descriptors failed: \(error)")
    }
    return handled
  }

  /// Ctrl-C while no Lua code runs that would notice it.
  private func raiseInterruption() throws(LuaFailure) {
    guard let vm, vm.pointee.interrupted != 0 else { return }
    vm.pointee.interrupted = 0
    lua_sethook(main.state, nil, 0, 0)
    throw main.failure("interrupted!")
  }

  private func run(_ turn: Turn) {
    // With hundreds of connections the next coroutine is not in the processor's cache; it is on its
    // way while this one runs.
    let next = scheduler.nextReadyIndex
    if next >= 0, let coroutine = tasks[next].coroutine { milonga_prefetch_state(coroutine) }
    noteTurn()
    switch tasks[turn.task].kind {
    case .server: servers.accept(turn.task)
    case .coroutine: resume(turn.task, turn.reason)
    case .events: runEvents(turn.task, turn.reason)
    case .timeout: fireTimeout(turn.task)
    case .none: scheduler.finish(turn.task)
    }
  }

  /// Runs a coroutine until it waits for something, ends, or fails.
  ///
  /// - Returns: whose turn it was last: others may have had theirs in the same coroutine
  ///   (CoroutinelessTask.swift).
  @discardableResult
  func resume(_ task: TaskID, _ reason: WakeReason) -> TaskID {
    let coroutine = tasks[task].coroutine!
    if reason == .cancelled {
      end(task)
      return task
    }
    let isStarted = lua_status(coroutine) == LUA_YIELD
    let arguments = isStarted ? 0 : tasks[task].arguments
    guard isStarted || canStart(coroutine, arguments) else {
      if exchangeWorker(of: task) { return resume(task, reason) }
      // The program has resumed or closed it.
      main.push("cannot resume dead coroutine")
      reportError(of: tasks[task])
      end(task)
      return task
    }
    if arguments != 0 { tasks[task].arguments = 0 }
    let (status, results, last) = takeTurn(task, coroutine, reason, arguments)
    if status == LUA_YIELD {
      if !scheduler.isRunning(last) {
        if results > 0 { lua_settop(coroutine, -results - 1) }
        if tasks[last].waitObserver != 0 { tellWait(of: last) }
        if tasks[last].isRemoved { end(last) }
        return last
      }
      main.push(
        "coroutine.yield was called without a resume first, user-code cannot yield to Copas")
      reportError(of: tasks[last])
    } else if status != LUA_OK {
      reportError(of: tasks[last], from: coroutine)
    }
    end(last)
    return last
  }

  /// Resumes the coroutine, whose turn it is meanwhile.
  ///
  /// - Returns: what `lua_resume` returned, how many values it left, and whose turn it was last.
  @inline(__always)
  private func takeTurn(
    _ task: TaskID, _ coroutine: OpaquePointer, _ reason: WakeReason, _ arguments: Int32
  ) -> (status: Int32, results: Int32, last: TaskID) {
    let outer = (turn.task, turn.coroutine)
    // A coroutine that is started in the turn of another one has a turn of its own.
    let outerObserver = turnEndObserver
    turnEndObserver = nil
    turn.task = task
    turn.coroutine = coroutine
    turn.reason = reason
    if let monitor { monitor.turnBegins(self, task, reason) }
    var results: Int32 = 0
    let status = milonga_resume(coroutine, main.state, memory, arguments, &results)
    if let monitor { monitor.turnEnded(self, task, status: status) }
    let last = current!
    (turn.task, turn.coroutine) = outer
    if let observer = turnEndObserver {
      turnEndObserver = nil
      observer.turnEnded()
    }
    turnEndObserver = outerObserver
    return (status, results, last)
  }

  /// Whether the coroutine is as it was made: its function and the arguments are on its stack.
  private func canStart(_ coroutine: OpaquePointer, _ arguments: Int32) -> Bool {
    var frame = lua_Debug()
    return lua_status(coroutine) == LUA_OK && lua_getstack(coroutine, 0, &frame) == 0
      && lua_gettop(coroutine) == arguments + 1
  }
}
