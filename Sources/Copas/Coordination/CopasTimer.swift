import CMilongaLua
import MilongaIO
import MilongaLua
import MilongaScheduler

/// The module `copas.timer`. A timer is a table with the options it was made with, `co`, its thread
/// while it is armed, and `cancelled`; nothing else has to be remembered.
enum CopasTimer {
  /// Pushes the module.
  static func open(_ call: LuaCall, _ loop: CopasLoop) {
    var timerCount = 0
    call.push { (call) throws(LuaFailure) in
      loop.reportError(call)
      return .results(0)
    }
    let reporter = LuaStored(popping: call)
    call.push { (call) throws(LuaFailure) in try run(call, loop, reporter) }
    let body = LuaStored(popping: call)

    call.pushTable(fields: 4)
    call.pushValue(at: -1)
    call.setField("__index", of: -2)
    call.pushValue(at: -1)
    let metatable = LuaStored(popping: call)
    call.setFunction("new") { (call) throws(LuaFailure) in
      try check(call)
      if !call.boolean(at: Option.name.index) {
        timerCount += 1
        call.push("copas_timer_\(timerCount)")
        call.replace(at: Option.name.index)
      }
      make(call, metatable)
      call.pushValue(at: Option.initialDelay.index)
      return try arm(call, at: call.count - 1, loop, body)
    }
    call.setFunction("arm") { (call) throws(LuaFailure) in
      call.count = 2
      try call.check(1, is: .table)
      return try arm(call, at: 1, loop, body)
    }
    call.setFunction("cancel") { (call) throws(LuaFailure) in try cancel(call, loop) }
  }

  // MARK: Making

  private enum Option: Int, CaseIterable {
    case delay = 2
    case callback, name, recurring, params, errorHandler, initialDelay

    /// Its place on the stack while a timer is made.
    var index: Int { rawValue }

    var key: StaticString {
      switch self {
      case .delay: "delay"
      case .callback: "callback"
      case .name: "name"
      case .recurring: "recurring"
      case .params: "params"
      case .errorHandler: "errorhandler"
      case .initialDelay: "initial_delay"
      }
    }
  }

  /// Spreads the table of options at 1 over the stack.
  private static func check(_ call: LuaCall) throws(LuaFailure) {
    call.count = 1
    try call.check(1, is: .table)
    for option in Option.allCases { try call.pushOption(option.key, of: 1) }
    try checkDelay(call, at: Option.delay.index)
    guard call.type(at: Option.callback.index) == .function else {
      throw call.failure("expected callback to be a function")
    }
    if !call.isNoneOrNil(at: Option.initialDelay.index) {
      try checkDelay(call, at: Option.initialDelay.index)
    }
  }

  private static func checkDelay(_ call: LuaCall, at index: Int) throws(LuaFailure) {
    guard let delay = call.numberIfNumber(at: index), delay >= 0 else {
      throw call.failure("delay must be greater than or equal to 0")
    }
  }

  /// Pushes a timer made of the options on the stack.
  private static func make(_ call: LuaCall, _ metatable: borrowing LuaStored) {
    call.push(call.boolean(at: Option.recurring.index))
    call.replace(at: Option.recurring.index)
    call.pushTable(fields: 8)
    for option in Option.allCases where option != .initialDelay {
      call.pushValue(at: option.index)
      call.setField(option.key, of: -2)
    }
    metatable.push(onto: call)
    call.setMetatable(of: -2)
  }

  // MARK: Methods

  /// The timer is at `timer`, a first delay, or nil, on top of the stack.
  private static func arm(
    _ call: LuaCall, at timer: Int, _ loop: CopasLoop, _ body: borrowing LuaStored
  ) throws(LuaFailure) -> LuaOutcome {
    let delay = call.count
    if !call.isNoneOrNil(at: delay) { try checkDelay(call, at: delay) }
    call.pushField("co", of: timer)
    if call.boolean(at: -1) { return call.refuse("already armed") }
    setCancelled(call, of: timer, false)
    call.pushField("name", of: timer)
    let name = call.isNoneOrNil(at: -1) ? nil : call.describe(at: call.count)
    body.push(onto: call)
    call.pushValue(at: timer)
    if call.isNoneOrNil(at: delay) {
      call.pushField("delay", of: timer)
    } else {
      call.pushValue(at: delay)
    }
    loop.startThread(call, arguments: 2, name: name)
    call.setField("co", of: timer)
    call.pushValue(at: timer)
    return .results(1)
  }

  private static func cancel(_ call: LuaCall, _ loop: CopasLoop) throws(LuaFailure) -> LuaOutcome {
    try call.check(1, is: .table)
    call.pushField("co", of: 1)
    guard call.boolean(at: -1) else { return call.refuse("not armed") }
    if isCancelled(call) { return call.refuse("already cancelled") }
    setCancelled(call, of: 1, true)
    // A callback that cancels its own timer goes on to its end.
    if let task = loop.task(call, at: call.count), task != loop.current { loop.removeThread(task) }
    forgetThread(call)
    call.pushValue(at: 1)
    return .results(1)
  }

  private static func isCancelled(_ call: LuaCall) -> Bool { isSet("cancelled", call) }

  private static func isSet(_ field: StaticString, _ call: LuaCall) -> Bool {
    call.pushField(field, of: 1)
    defer { call.pop() }
    return call.boolean(at: -1)
  }

  /// Whether the timer runs in this thread: the callback may have cancelled and armed it anew.
  private static func runsHere(_ call: LuaCall) -> Bool {
    call.pushField("co", of: 1)
    defer { call.pop() }
    return lua_tothread(call.state, -1) == call.state
  }

  private static func setCancelled(_ call: LuaCall, of timer: Int, _ isCancelled: Bool) {
    call.push(isCancelled)
    call.setField("cancelled", of: timer)
  }

  private static func forgetThread(_ call: LuaCall) {
    call.pushNil()
    call.setField("co", of: 1)
  }

  // MARK: The thread

  private enum Step: Int {
    case pause = 1
    case recur
    case end
  }

  /// The timer is at 1, at first with the delay at 2.
  private static func run(
    _ call: LuaCall, _ loop: CopasLoop, _ reporter: borrowing LuaStored
  ) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      setErrorHandler(call, loop)
      return try pause(call, loop)
    }
    try loop.requireInside(call, "timer")
    call.count = 1
    switch Step(rawValue: call.step)! {
    case .end: return .results(0)
    case .pause:
      guard !isCancelled(call), runsHere(call) else { return .results(0) }
      let recurs = isSet("recurring", call)
      if !recurs {
        // It can be armed again from here on.
        setCancelled(call, of: 1, true)
        forgetThread(call)
      }
      reporter.push(onto: call)
      call.pushField("callback", of: 1)
      call.pushValue(at: 1)
      call.pushField("params", of: 1)
      let next = recurs ? Step.recur : .end
      return .protectedCall(arguments: 2, results: 0, traced: true, state: next.rawValue)
    case .recur:
      guard !isCancelled(call), runsHere(call) else { return .results(0) }
      call.pushField("delay", of: 1)
      return try pause(call, loop)
    }
  }

  /// Waits as long as the value at 2 says.
  private static func pause(_ call: LuaCall, _ loop: CopasLoop) throws(LuaFailure) -> LuaOutcome {
    let seconds = try call.number(at: 2)
    call.count = 1
    return loop.sleep(seconds, state: Step.pause.rawValue)
  }

  private static func setErrorHandler(_ call: LuaCall, _ loop: CopasLoop) {
    call.pushField("errorhandler", of: 1)
    if call.type(at: -1) == .function {
      loop.setErrorHandler(popping: call)
    } else {
      call.pop()
    }
  }
}
