import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler

/// Arguments of a thread; a coroutine's stack holds a million values.
let mostArguments = 500_000

/// The Lua module `copas`.
package enum CopasModule {
  /// Pushes the module's table: what `require 'copas'` returns.
  ///
  /// - Parameter isReloaded: programs clear `package.loaded.copas` and require it again to get back
  ///   to the default error handler.
  package static func open(_ call: LuaCall, isReloaded: Bool = false) throws(LuaFailure) {
    let loop = try CopasLoop.of(call)
    if isReloaded { loop.module.errorHandler = LuaStored() }
    if !loop.module.table.isEmpty {
      loop.module.table.push(onto: call)
      return
    }
    call.pushTable(fields: 48)
    loop.module.table = LuaStored(call, at: -1)
    call.push("Copas 4.11.0")
    call.setField("_VERSION", of: -2)
    call.push("Coroutine Oriented Portable Asynchronous Services")
    call.setField("_DESCRIPTION", of: -2)
    call.push(true)
    call.setField("autoclose", of: -2)
    call.push(false)
    call.setField("running", of: -2)
    call.push(5)
    call.setField("exittimeout", of: -2)

    loop.addDispatcher(call)
    loop.addThreads(call)
    loop.addTime(call)
    loop.addTransfers(call)
    loop.addErrors(call)
    loop.addNames(call)
    loop.addExit(call)
    loop.addTimeouts(call)
    loop.addStatus(call)
    loop.addDebug(call)

    call.pushTable(fields: 2)
    call.setFunction("__index") { (call) throws(LuaFailure) in try loop.loadSubmodule(call) }
    call.setFunction("__call") { (call) throws(LuaFailure) in
      if call.phase == .entered { call.remove(at: 1) }
      return try loop.runLoop(call)
    }
    milonga_setmetatable(call.state, -2)
  }
}

extension CopasLoop {
  func addDispatcher(_ call: LuaCall) {
    call.setFunction("addserver") { [self] (call) throws(LuaFailure) in
      try servers.add(call)
      return .results(0)
    }
    call.setFunction("removeserver") { [self] (call) throws(LuaFailure) in
      let keepOpen = call.boolean(at: 2)
      try servers.remove(call, keepOpen: keepOpen)
      if keepOpen { call.push(true) } else { call.push(1.0) }
      return .results(1)
    }
    call.setFunction("loop") { [self] (call) throws(LuaFailure) in try runLoop(call) }
    call.setFunction("step") { [self] (call) throws(LuaFailure) in
      try requireOutside(call, "step")
      let seconds = try call.number(at: 1, default: .infinity)
      let deadline = MonotonicTime.deadline(after: seconds, from: MonotonicTime.now())
      call.push(try step(until: deadline))
      return .results(1)
    }
    call.setFunction("finished") { [self] (call) throws(LuaFailure) in
      call.push(isFinished)
      return .results(1)
    }
    call.setFunction("handler") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return .results(call.count) }
      try call.check(1, is: .function)
      guard call.isNoneOrNil(at: 2) else { return try callTLS(call, "handler") }
      call.count = 1
      call.push(upvalues: 1) { [self] (call) throws(LuaFailure) in
        guard call.phase == .entered else { return .results(call.count) }
        try pushWrapped(call, at: 1)
        call.replace(at: 1)
        call.pushUpvalue(1)
        call.insert(at: 1)
        return .call(arguments: call.count - 1)
      }
      return .results(1)
    }
    call.setFunction("wrap") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return .results(call.count) }
      let isNew = !isWrapped(call, at: 1)
      if isNew, !call.isNoneOrNil(at: 2) { return try callTLS(call, "wrap") }
      try pushWrapped(call, at: 1)
      return .results(1)
    }
  }

  /// `loop([initializer] [, timeout])`: runs until nothing is left to do.
  package func runLoop(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try requireOutside(call, "loop")
    var timeout = Double.infinity
    if call.type(at: 1) == .function {
      timeout = try call.number(at: 2, default: .infinity)
      call.pushValue(at: 1)
      startThread(call, arguments: 0, name: "copas_initializer")
    } else {
      timeout = try call.number(at: call.isNoneOrNil(at: 1) ? 2 : 1, default: .infinity)
    }
    exit = ExitState()
    setRunning(true)
    isLooping = true
    termination.take()
    defer {
      termination.giveBack()
      isLooping = false
      setRunning(false)
    }
    try runSteps(timeout)
    return .results(0)
  }

  private func runSteps(_ timeout: Double) throws(LuaFailure) {
    var isFirst = true
    var isFinished = isFinished
    while !mustEnd {
      let now = timeout == .infinity ? 0 : MonotonicTime.now()
      if !isFinished { _ = try step(until: MonotonicTime.deadline(after: timeout, from: now)) }
      if isFirst {
        // The program may have set another `copas.exittimeout` in its first turn.
        isFirst = false
        termination.keepTurns()
      }
      isFinished = self.isFinished
      guard isFinished else { continue }
      if exit.isExiting { return }
      exit.announce(scheduler)
      isFinished = self.isFinished
    }
  }

  private func setRunning(_ running: Bool) {
    module.table.push(onto: main)
    main.push(running)
    main.setField("running", of: -2)
    main.pop()
  }

  private func requireOutside(_ call: LuaCall, _ function: String) throws(LuaFailure) {
    guard isStepping else { return }
    throw call.failure(
      "copas.\(function): called inside a Copas thread; the dispatcher runs already")
  }

  func addThreads(_ call: LuaCall) {
    call.setFunction("addthread") { [self] (call) throws(LuaFailure) in
      try call.check(1, is: .function)
      return try addThread(call, name: nil)
    }
    call.setFunction("addnamedthread") { [self] (call) throws(LuaFailure) in
      // Earlier versions had the function first; both orders are in use.
      if call.type(at: 1) == .function, call.type(at: 2) == .string {
        call.pushValue(at: 1)
        call.remove(at: 1)
        call.insert(at: 2)
      }
      try call.check(2, is: .function)
      let name = call.isNoneOrNil(at: 1) ? nil : try call.string(at: 1)
      call.remove(at: 1)
      return try addThread(call, name: name)
    }
    call.setFunction("removethread") { [self] (call) throws(LuaFailure) in
      if let task = task(call, at: 1) { removeThread(task) }
      return .results(0)
    }
    call.setFunction("wakeup") { [self] (call) throws(LuaFailure) in
      if let task = task(call, at: 1), scheduler.wake(task) { holdAgain(task) }
      return .results(0)
    }
  }

  /// The function at 1 and its arguments become a coroutine that runs in the next step.
  private func addThread(_ call: LuaCall, name: String?) throws(LuaFailure) -> LuaOutcome {
    guard call.count <= mostArguments else { throw call.failure("too many arguments") }
    startThread(call, arguments: call.count - 1, name: name)
    return .results(1)
  }

  func addTime(_ call: LuaCall) {
    call.setFunction("gettime") { (call) throws(LuaFailure) in
      call.push(WallClock.now())
      return .results(1)
    }
    call.setFunction("sleep") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return .results(0) }
      try requireInside(call, "sleep")
      let seconds = try call.number(at: 1, default: 0)
      return seconds < 0 ? sleepForEver(call) : sleep(seconds)
    }
    call.setFunction("pause") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return pushElapsed(call) }
      try requireInside(call, "pause")
      let seconds = max(0, try call.number(at: 1, default: 0))
      call.count = 0
      call.push(Double(MonotonicTime.now()))
      return sleep(seconds)
    }
    call.setFunction("pauseforever") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return pushElapsed(call) }
      try requireInside(call, "pauseforever")
      call.count = 0
      call.push(Double(MonotonicTime.now()))
      return sleepForEver(call)
    }
  }

  func sleep(_ seconds: Double, state: Int = 0) -> LuaOutcome {
    guard seconds > 0 else {
      if mayWait { scheduler.yield(current!) }
      return .yield(0, state: state)
    }
    let now = MonotonicTime.now()
    return sleep(until: MonotonicTime.deadline(after: seconds, from: now), state: state)
  }

  /// Pushes the seconds since the monotonic time that was left at 1.
  private func pushElapsed(_ call: LuaCall) -> LuaOutcome {
    call.push((Double(MonotonicTime.now()) - (call.numberIfNumber(at: 1) ?? 0)) / 1e9)
    return .results(1)
  }

  func addErrors(_ call: LuaCall) {
    call.setFunction("seterrorhandler") { [self] (call) throws(LuaFailure) in
      guard call.isNoneOrNil(at: 1) || call.type(at: 1) == .function else {
        throw call.failure("Expected the handler to be a function, or nil")
      }
      let isDefault = call.boolean(at: 2)
      if isDefault, call.isNoneOrNil(at: 1) {
        throw call.failure("Expected the handler to be a function when setting the default")
      }
      if isDefault {
        module.errorHandler = LuaStored(call, at: 1)
      } else if call.isNoneOrNil(at: 1) {
        if let current { tasks.removeHandler(current, main) }
      } else {
        call.pushValue(at: 1)
        setErrorHandler(popping: call)
      }
      return .results(0)
    }
    call.pushField("seterrorhandler", of: -1)
    call.setField("setErrorHandler", of: -2)
    call.setFunction("geterrorhandler") { [self] (call) throws(LuaFailure) in
      pushErrorHandler(call)
      return .results(1)
    }
    call.setFunction("gettraceback") { [self] (call) throws(LuaFailure) in
      call.count = 3
      pushTraceback(call, message: 1)
      return .results(1)
    }
  }

  /// Pushes the error handler of the coroutine at 1, or of the running one.
  private func pushErrorHandler(_ call: LuaCall) {
    let named = call.isNoneOrNil(at: 1) ? current : task(call, at: 1)
    if let named, tasks[named].handler != 0 {
      call.pushRetained(tasks[named].handler)
    } else if !module.errorHandler.isEmpty {
      module.errorHandler.push(onto: call)
    } else {
      call.push { [self] (call) throws(LuaFailure) in
        guard call.phase == .entered else { return .results(0) }
        call.count = 3
        pushTraceback(call, message: 1)
        milonga_pushglobaltable(call.state)
        call.pushField("print", of: -1)
        call.pushValue(at: 4)
        return .call(arguments: 1, results: 0)
      }
    }
  }

  /// The function on top of the stack, which is popped, is the running coroutine's error handler.
  func setErrorHandler(popping call: LuaCall) {
    if let current { tasks.setHandler(current, popping: call) } else { call.pop() }
  }
}
