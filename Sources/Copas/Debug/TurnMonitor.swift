import CMilongaLua
import CMilongaShims
import LuaFiles
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler

/// Looks at the coroutines' turns for `copas.debug`. A program that has not asked for it has none.
final class TurnMonitor {
  var log: TurnLog?
  var watchdog: Watchdog?

  var isIdle: Bool { log == nil && watchdog == nil }

  func turnBegins(_ loop: CopasLoop, _ task: TaskID, _ reason: WakeReason) {
    log?.turnBegins(loop, task, reason)
    watchdog?.turnBegins(loop, task)
  }

  /// - Parameter status: what resuming the coroutine returned.
  func turnEnded(_ loop: CopasLoop, _ task: TaskID, status: Int32) {
    watchdog?.turnEnded(loop, task)
    log?.turnEnded(loop, task, status: status)
  }
}

extension CopasLoop {
  func addDebug(_ call: LuaCall) {
    call.pushTable(fields: 4)
    call.setFunction("start") { [self] (call) throws(LuaFailure) in
      try startLog(call)
      return .results(0)
    }
    call.setFunction("stop") { [self] (_) throws(LuaFailure) in
      stopLog()
      return .results(0)
    }
    call.setFunction("watchdog") { [self] (call) throws(LuaFailure) in
      try setWatchdog(call)
      return .results(0)
    }
    call.setFunction("socket") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return .results(call.count) }
      if module.socketDebugging.isEmpty { try loadSocketDebugging(call) }
      call.count = 1
      module.socketDebugging.push(onto: call)
      call.insert(at: 1)
      return .call(arguments: 1, results: 1)
    }
    call.setField("debug", of: -2)
  }

  private func loadSocketDebugging(_ call: LuaCall) throws(LuaFailure) {
    try LuaFile("copas.debug").push(onto: call)
    call.push { [self] (call) throws(LuaFailure) in
      call.push(isWrapped(call, at: 1))
      return .results(1)
    }
    guard milonga_pcall(call.state, 1, 1, 0) == LUA_OK else { throw .raised }
    module.socketDebugging = LuaStored(popping: call)
  }

  private func startLog(_ call: LuaCall) throws(LuaFailure) {
    if !call.isNoneOrNil(at: 1) { try call.check(1, is: .function) }
    let logsCore = call.boolean(at: 2)
    if call.isNoneOrNil(at: 1) {
      milonga_pushglobaltable(call.state)
      call.pushField("print", of: -1)
    } else {
      call.pushValue(at: 1)
    }
    stopLog()
    let log = TurnLog(logger: LuaStored(popping: call), logsCore: logsCore)
    monitored { $0.log = log }
  }

  func stopLog() {
    monitored { $0.log = nil }
  }

  private func setWatchdog(_ call: LuaCall) throws(LuaFailure) {
    let seconds = try call.number(at: 1, default: 0)
    guard seconds >= 0, seconds < .infinity else {
      throw call.argumentFailure(1, "seconds expected, or nil to stop, got \(seconds)")
    }
    if !call.isNoneOrNil(at: 2) { try call.check(2, is: .function) }
    guard seconds > 0 else {
      milonga_set_watchdog(call.state, nil, nil)
      monitored { $0.watchdog = nil }
      return
    }
    let watchdog = Watchdog(
      limit: MonotonicTime.deadline(after: seconds, from: 0),
      report: call.isNoneOrNil(at: 2) ? LuaStored() : LuaStored(call, at: 2))
    monitored { $0.watchdog = watchdog }
    milonga_set_watchdog(
      call.state,
      { state, context in
        let loop = Unmanaged<CopasLoop>.fromOpaque(context!).takeUnretainedValue()
        loop.monitor?.watchdog?.look(loop, LuaCall(state!))
      }, Unmanaged.passUnretained(self).toOpaque())
    if let current { monitor?.watchdog?.turnBegins(self, current) }
  }

  private func monitored(_ change: (TurnMonitor) -> Void) {
    let monitor = monitor ?? TurnMonitor()
    change(monitor)
    self.monitor = monitor.isIdle ? nil : monitor
  }
}
