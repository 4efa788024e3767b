import CMilongaShims
import MilongaLua
import MilongaScheduler

/// The way to the end of the dispatcher: it is announced, those who wait for the announcement clean up,
/// and the loop ends when nothing is left to do.
struct ExitState {
  var isExiting = false
  /// Threads in `copas.waitforexit`; after the announcement those that were.
  private(set) var waiting: [TaskID] = []
  /// When `waiting` is so long, those that are gone are taken out.
  private var limit = 64

  mutating func add(_ task: TaskID, exists: (TaskID) -> Bool) {
    if waiting.count >= limit {
      waiting.removeAll { !exists($0) }
      limit = max(64, waiting.count * 2)
    }
    waiting.append(task)
  }
}

extension CopasLoop {
  func addExit(_ call: LuaCall) {
    call.setFunction("exit") { [self] (_) throws(LuaFailure) in
      announceExit()
      return .results(0)
    }
    call.setFunction("exiting") { [self] (call) throws(LuaFailure) in
      call.push(exit.isExiting)
      return .results(1)
    }
    call.setFunction("waitforexit") { [self] (call) throws(LuaFailure) in
      try requireInside(call, "waitforexit")
      guard !exit.isExiting else { return .results(0) }
      if call.phase == .entered, mayWait {
        exit.add(current!, exists: scheduler.exists)
      }
      return sleep(until: .max)
    }
    call.setFunction("cancelall") { [self] (_) throws(LuaFailure) in
      cancelAll()
      return .results(0)
    }
  }

  /// Tells everybody who waits for it that the program is about to end.
  func announceExit() {
    guard !exit.isExiting else { return }
    exit.isExiting = true
    for task in exit.waiting { scheduler.wake(task) }
  }

  /// After SIGINT or SIGTERM the loop ends when those who waited for the exit have cleaned up, whatever
  /// else there is to do.
  var mustEnd: Bool {
    guard catchesSignals, readiness.waker.terminationSignal != 0 else { return false }
    milonga_limit_turn(0)
    announceExit()
    return !exit.waiting.contains(where: scheduler.exists)
  }

  /// Gives up all that waits or is ready, and every server, without letting anybody clean up.
  private func cancelAll() {
    // A coroutine that sleeps may have been collected, of which its task is only told later.
    if asleepForEver > 0 { milonga_collect(main.state) }
    for (index, record) in tasks.enumerated() where record.kind != .none {
      guard let task = scheduler.task(at: Int32(index)), task != current else { continue }
      if record.kind == .server {
        main.pushRetained(record.reference)
        closeSocket(main)
      } else {
        holdAgain(task)
      }
      end(task)
    }
    servers = [:]
    timeouts = [:]
    announceExit()
  }
}
