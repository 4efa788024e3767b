import CMilongaLua
import MilongaIO
import MilongaLua
import MilongaScheduler

/// The timers set with `copas.timeout`: each coroutine has at most one.
final class CallbackTimeouts {
  unowned(unsafe) var loop: CopasLoop!
  /// By their coroutines.
  private var tasks: [OpaquePointer: TaskID] = [:]

  var count: Int { tasks.count }

  /// The function at 2 is called with the running coroutine when the time is over, unless the timer
  /// is cancelled or replaced before.
  func set(_ call: LuaCall, _ seconds: Double) {
    lua_pushthread(call.state)
    let coroutine = call.retainTop()
    call.pushValue(at: 2)
    let callback = call.retainTop()
    let task = loop.spawn(
      CopasTask(
        kind: .timeout, coroutine: call.state, reference: coroutine, handler: callback))
    tasks[call.state] = task
    loop.scheduler.sleep(
      task, until: MonotonicTime.deadline(after: seconds, from: MonotonicTime.now()))
  }

  func cancel(of coroutine: OpaquePointer) {
    if let task = tasks.removeValue(forKey: coroutine) { loop.end(task) }
  }

  func forgetAll() { tasks = [:] }

  /// The time is over: the callback runs in a coroutine of its own, so that it may wait.
  func fire(_ task: TaskID) {
    let main = loop.main
    let record = loop.tasks[task]
    tasks[record.coroutine!] = nil
    guard main.reserve(4) else { return }
    main.pushRetained(record.handler)
    main.pushRetained(record.reference)
    loop.end(task)
    let callback = loop.spawnCoroutine(main, arguments: 1)
    loop.names.set(main, of: -1, "copas_core_timer")
    main.pop()
    loop.resume(callback, .woken)
  }
}

extension CopasLoop {
  func addTimeouts(_ call: LuaCall) {
    call.setFunction("timeout") { [self] (call) throws(LuaFailure) in
      let seconds = try call.number(at: 1)
      guard seconds >= 0 else {
        throw call.failure("timeout value must be greater than or equal to 0, got: \(seconds)")
      }
      timeouts.cancel(of: call.state)
      if seconds > 0, seconds < .infinity {
        try call.check(2, is: .function)
        timeouts.set(call, seconds)
      }
      call.push(true)
      return .results(1)
    }
    call.setFunction("gettimeouts") { [self] (call) throws(LuaFailure) in
      call.push(timeouts.count)
      return .results(1)
    }
  }
}
