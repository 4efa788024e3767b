import MilongaLua
import MilongaScheduler

/// What became of an async function: pushes its results, or throws its error.
typealias AsyncAnswer = @Sendable (LuaCall) throws(LuaFailure) -> Int

/// Calls of async Swift functions, for which coroutines wait. Each is a Swift task; when the
/// coroutine ends before it, the task is cancelled.
final class AsyncCalls: ThreadObserver {
  private let work: OffThreadWork<AsyncAnswer>
  private var calls: [TaskID: (ticket: Int, task: Task<Void, Never>)] = [:]
  private var number: Int32 = 0

  init(_ loop: CopasLoop, _ work: OffThreadWork<AsyncAnswer>) {
    self.work = work
    number = loop.addObserver(self)
  }

  /// Starts the function for the running coroutine.
  func start(
    _ loop: CopasLoop, _ function: @escaping @Sendable () async -> AsyncAnswer
  ) -> LuaOutcome {
    guard loop.mayWait, let current = loop.current else { return .yield() }
    var task: Task<Void, Never>?
    let ticket = work.start(for: current) { answer in
      task = Task { answer(await function()) }
      return nil
    }
    calls[current] = (ticket, task!)
    loop.observeRemoval(by: number)
    return loop.sleep(until: .max)
  }

  /// The running coroutine was woken: its answer, nil while there is none.
  func takeAnswer(of current: TaskID) -> AsyncAnswer? {
    guard let call = calls[current], let answer = work.takeAnswer(call.ticket) else {
      return nil
    }
    calls[current] = nil
    return answer
  }

  func deliver(_ wake: (TaskID) -> Bool) { work.deliver(wake) }

  /// The coroutine is gone, and its answer is not wanted any more.
  func ended(_ task: TaskID) {
    guard let call = calls.removeValue(forKey: task) else { return }
    work.abandon(call.ticket)
    call.task.cancel()
  }

  /// Cancels all.
  func close() {
    work.close()
    for call in calls.values { call.task.cancel() }
    calls = [:]
  }
}
