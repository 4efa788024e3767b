import CMilongaLua
import MilongaIO
import MilongaLua
import MilongaScheduler

extension CopasLoop {
  func addTimeouts(_ call: LuaCall) {
    call.setFunction("timeout") { [self] (call) throws(LuaFailure) in
      let seconds = try call.number(at: 1)
      guard seconds >= 0 else {
        throw call.failure("timeout value must be greater than or equal to 0, got: \(seconds)")
      }
      cancelTimeout(of: call.state)
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

  /// The function at 2 is called with the running coroutine when the time is over, unless it is cancelled
  /// or replaced before.
  private func setTimeout(_ call: LuaCall, _ seconds: Double) {
    lua_pushthread(call.state)
    let coroutine = call.retainTop()
    call.pushValue(at: 2)
    let callback = call.retainTop()
    let task = scheduler.spawn()
    store(
      CopasTask(
        kind: .timeout, coroutine: call.state, reference: coroutine, handler: callback), for: task)
    timeouts[call.state] = task
    scheduler.sleep(task, until: MonotonicTime.deadline(after: seconds, from: MonotonicTime.now()))
  }

  private func cancelTimeout(of coroutine: OpaquePointer) {
    if let task = timeouts.removeValue(forKey: coroutine) { end(task) }
  }

  /// The time is over: the callback runs in a coroutine of its own, so that it may wait.
  func fireTimeout(_ task: TaskID) {
    let record = tasks[Int(task.index)]
    timeouts[record.coroutine!] = nil
    guard main.reserve(4) else { return }
    main.pushRetained(record.handler)
    main.pushRetained(record.reference)
    end(task)
    let callback = spawnCoroutine(main, arguments: 1)
    setName(main, of: -1, "copas_core_timer")
    main.pop()
    resume(callback, .woken)
  }
}
