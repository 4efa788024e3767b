import CMilongaTurns
import DequeModule
import NIOConcurrencyHelpers
package import NIOCore

/// Runs tasks on an event loop, so that a function's task and its connection do not hand things
/// from one thread to another.
///
/// Tasks have turns, as connections have: tasks that compute for long let the event loop look at
/// its other connections in between.
package final class EventLoopExecutor: TaskExecutor, @unchecked Sendable {
  package let eventLoop: any EventLoop

  private struct Waiting {
    var jobs: Deque<UnownedJob> = []
    /// ``run()`` will come, or is at work.
    var isScheduled = false
  }

  private let waiting = NIOLockedValueBox(Waiting())
  /// The jobs of this turn. They belong to the event loop.
  private var jobs: Deque<UnownedJob> = []
  private var isInTurn = false
  private var whenTurnEnds: (() -> Void)?

  package init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isFirst = waiting.withLockedValue { waiting in
      waiting.jobs.append(job)
      defer { waiting.isScheduled = true }
      return !waiting.isScheduled
    }
    if isFirst { eventLoop.execute { self.run() } }
  }

  /// Runs `body` when the jobs of this turn have run, or at once outside of a turn. The jobs of one
  /// turn often ask for the same: the first body of a turn counts. To be called on the event loop.
  ///
  /// A task of the event loop would not do: when such tasks take turns with ``run()`` the event loop
  /// has no time to look at its connections; see ``EventLoopTurns``.
  package func atEndOfTurn(_ body: @escaping () -> Void) {
    guard isInTurn else { return body() }
    if whenTurnEnds == nil { whenTurnEnds = body }
  }

  private func run() {
    isInTurn = true
    let isDone = runJobs()
    isInTurn = false
    whenTurnEnds.take()?()
    if !isDone { EventLoopTurns.wait(on: eventLoop) { self.run() } }
  }

  /// - Returns: false when the turn is over before all jobs have run.
  private func runJobs() -> Bool {
    let end = milonga_turn_end()
    let executor = asUnownedTaskExecutor()
    while takeJobs() {
      while let job = jobs.popFirst() {
        job.runSynchronously(on: executor)
        if milonga_turn_is_over(end) != 0 { return false }
      }
    }
    return true
  }

  /// Makes the jobs that wait those of this turn, unless it has some.
  ///
  /// - Returns: false when there are none. Then the next one that comes asks for another turn.
  private func takeJobs() -> Bool {
    if !jobs.isEmpty { return true }
    return waiting.withLockedValue { waiting in
      swap(&jobs, &waiting.jobs)
      waiting.isScheduled = !jobs.isEmpty
      return waiting.isScheduled
    }
  }
}
