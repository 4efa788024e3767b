import CMilongaLua
import CMilongaShims
import MilongaIO
import MilongaLua
import MilongaScheduler

/// `copas.debug.watchdog`: reports a coroutine that computes too long without letting others have
/// their turn; once in each such turn. While Lua code runs, a hook notices; what spends its time in
/// a C function is noticed when its turn ends.
final class Watchdog {
  /// Nanoseconds.
  private let limit: Int64
  /// The function to tell; without one a line goes to standard error.
  private let report: LuaStored
  private var begin: Int64 = 0
  private var isReported = false

  init(limit: Int64, report: consuming LuaStored) {
    self.limit = limit
    self.report = report
  }

  func turnBegins(_ loop: CopasLoop, _ task: TaskID) {
    begin = MonotonicTime.now()
    isReported = false
    milonga_watch(loop.tasks[task].coroutine!)
  }

  /// Runs in the hook of the coroutine that computes, or of one that it has made.
  func look(_ loop: CopasLoop, _ call: LuaCall) {
    guard !isReported, let task = loop.current, MonotonicTime.now() - begin > limit else { return }
    tell(loop, task, call)
  }

  func turnEnded(_ loop: CopasLoop, _ task: TaskID) {
    guard !isReported, MonotonicTime.now() - begin > limit else { return }
    tell(loop, task, loop.main)
  }

  /// - Parameter call: where the traceback is taken, unless that is the main stack: then it is the
  ///   coroutine's.
  private func tell(_ loop: CopasLoop, _ task: TaskID, _ call: LuaCall) {
    isReported = true
    guard call.reserve(8) else { return }
    let name = loop.names.ofThread(task)
    let seconds = Double(MonotonicTime.now() - begin) / 1e9
    let top = call.count
    defer { call.count = top }
    let computing =
      call.state == loop.main.state ? loop.tasks[task].coroutine! : call.state
    luaL_traceback(call.state, computing, nil, 0)
    guard !report.isEmpty else {
      let traceback = call.stringIfString(at: -1) ?? ""
      let tenths = Double(Int(seconds * 1e3)) / 1e3
      writeLine("copas: thread '\(name)' has been computing for \(tenths) s\n\(traceback)")
      return
    }
    report.push(onto: call)
    call.push(name)
    call.push(seconds)
    call.pushValue(at: top + 1)
    guard milonga_pcall(call.state, 3, 0, 0) != LUA_OK else { return }
    writeLine("copas.debug: the watchdog's function failed: \(call.describe(at: call.count))")
  }
}
