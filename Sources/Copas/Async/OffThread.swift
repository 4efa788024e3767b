import MilongaIO
import MilongaScheduler

/// What other threads do for coroutines that wait: they look names up, and run async Swift
/// functions.
final class OffThread {
  let lookups: OffThreadWork<Result<[SocketAddress], ResolverError>>
  /// nil until an async function is called.
  private(set) var asyncCalls: AsyncCalls?
  private let waker: ReadinessQueue.Waker
  /// Coroutines that wait for another thread.
  let pending = OffThreadCount()

  init(_ waker: ReadinessQueue.Waker) {
    self.waker = waker
    lookups = OffThreadWork(waker: waker, pending)
  }

  deinit { pending.free() }

  /// Whether a coroutine that has not been removed meanwhile waits for another thread.
  func hasWantedWork(exists: (TaskID) -> Bool) -> Bool {
    if !lookups.isEmpty { lookups.abandonUnwanted(exists: exists) }
    return pending.value > 0
  }

  /// Begins to look a name up; `task` is woken when the answer is there.
  ///
  /// - Returns: the ticket for the answer, which is in `lookups`.
  func lookUp(_ query: ResolverQuery, for task: TaskID, exists: (TaskID) -> Bool) -> Int {
    // Those of removed threads need not be made before it.
    if !lookups.isEmpty { lookups.abandonUnwanted(exists: exists) }
    return lookups.start(for: task) {
      let lookup = Resolver.resolve(query, completion: $0)
      return { lookup.abandon() }
    }
  }

  /// The async functions that coroutines have called.
  func asyncCalls(of loop: CopasLoop) -> AsyncCalls {
    if let asyncCalls { return asyncCalls }
    let calls = AsyncCalls(loop, OffThreadWork(waker: waker, pending))
    asyncCalls = calls
    return calls
  }

  /// Wakes the coroutines whose answers have come.
  func deliver(_ scheduler: Scheduler) {
    let wake: (TaskID) -> Bool = { task in
      scheduler.wake(task)
      return scheduler.exists(task)
    }
    lookups.deliver(wake)
    asyncCalls?.deliver(wake)
  }

  /// No thread touches the loop from now on.
  func close() {
    lookups.close()
    asyncCalls?.close()
  }
}
