import CMilongaLua
import MilongaIO
import MilongaLua
import MilongaScheduler

/// The timers set with `copas.timeout`: each coroutine has at most one, which is a task.
struct CallbackTimeouts {
  private var tasks: [OpaquePointer: TaskID] = [:]

  var count: Int { tasks.count }

  mutating func add(_ task: TaskID, of coroutine: OpaquePointer) { tasks[coroutine] = task }

  /// The coroutine has no timer any more; the one that it had.
  mutating func take(of coroutine: OpaquePointer) -> TaskID? {
    tasks.removeValue(forKey: coroutine)
  }

  mutating func forgetAll() { tasks = [:] }
}

extension CopasLoop {
  func addTimeouts(_ call: LuaCall) {
    call.setFunction("timeout") { [self] (call) throws(LuaFailure) in
      let seconds = try call.number(at: 1)
      guard seconds >= 0 else {
        throw call.failure("timeout value must be greater than or equal to 0, got: \(seconds)")
      }
      if let earlier = timeouts.take(of: call.state) { end(earlier) }
      if seconds > 0, seconds < .infinity {
        try call.check(2, is: .function)
        setTimeout(call, seconds)
      }
      call.push(true)
      return .results(1)
    }
    call.setFunction("gettimeouts") { [self] (call) throws(LuaFailure) in
      call.push(timeouts.count)
      return .results(1)
    }
  }

  /// The function at 2 is called with the running coroutine when the time is over, unless the timer
  /// is cancelled or replaced before.
  private func setTimeout(_ call: LuaCall, _ seconds: Double) {
    lua_pushthread(call.state)
    let coroutine = call.retainTop()
    call.pushValue(at: 2)
    let callback = call.retainTop()
    let task = spawn(
      CopasTask(
        kind: .timeout, coroutine: call.state, reference: coroutine, handler: callback))
    timeouts.add(task, of: call.state)
    scheduler.sleep(task, until: MonotonicTime.deadline(after: seconds, from: MonotonicTime.now()))
  }

  /// The time is over: the callback runs in a coroutine of its own, so that it may wait.
  @inline(never)
  func fireTimeout(_ task: TaskID) {
    let record = tasks[task]
    _ = timeouts.take(of: record.coroutine!)
    guard main.reserve(4) else { return }
    main.pushRetained(record.handler)
    main.pushRetained(record.reference)
    end(task)
    let callback = spawnCoroutine(main, arguments: 1)
    names.set(main, of: -1, "copas_core_timer")
    main.pop()
    resume(callback, .woken)
  }
}
