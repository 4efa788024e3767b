import CMilongaShims
import MilongaLua
import MilongaScheduler

/// The way to the end of the dispatcher: it is announced, the threads that wait for the
/// announcement clean up, and the loop ends when nothing is left to do.
struct ExitState {
  private(set) var isExiting = false
  /// Threads in `copas.waitforexit`; after the announcement those that were.
  private var waiting: [TaskID] = []
  /// When `waiting` is so long, those that are gone are taken out.
  private var limit = 64

  mutating func add(_ task: TaskID, exists: (TaskID) -> Bool) {
    if waiting.count >= limit {
      waiting.removeAll { !exists($0) }
      limit = max(64, waiting.count * 2)
    }
    waiting.append(task)
  }

  /// Wakes the threads that wait for it.
  mutating func announce(_ scheduler: Scheduler) {
    guard !isExiting else { return }
    isExiting = true
    for task in waiting { scheduler.wake(task) }
  }

  /// Whether threads that waited for the announcement have not ended yet.
  func isAwaited(exists: (TaskID) -> Bool) -> Bool { waiting.contains(where: exists) }
}

extension CopasLoop {
  func addExit(_ call: LuaCall) {
    call.setFunction("exit") { [self] (_) throws(LuaFailure) in
      exit.announce(scheduler)
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

  /// After SIGINT or SIGTERM the loop ends when the threads that waited for the exit have cleaned
  /// up, whatever else there is to do.
  var mustEnd: Bool {
    guard milonga_termination_signal() != 0, termination.isTaken else { return false }
    milonga_limit_turn(0)
    exit.announce(scheduler)
    return !exit.isAwaited(exists: scheduler.exists)
  }

  /// Gives up all that waits or is ready, and every server, without letting threads clean up.
  private func cancelAll() {
    // A coroutine that sleeps may have been collected, of which its task is only told later.
    if asleepForEver > 0 { milonga_collect(main.state) }
    let all = (0..<tasks.count).filter { tasks[$0].kind != .none }
      .compactMap { scheduler.task(at: $0) }
    for task in all where task != current && scheduler.exists(task) {
      if tasks[task].kind == .server {
        main.pushRetained(tasks[task].reference)
        closeSocket(main)
      } else {
        holdAgain(task)
      }
      end(task)
    }
    servers.forgetAll()
    timeouts.forgetAll()
    exit.announce(scheduler)
  }
}
