import MilongaScheduler
import Testing

@Suite struct TaskTests {
  let scheduler = Scheduler()

  /// What a task can be doing.
  enum Doing: CaseIterable {
    case running, ready, sleeping, sleepingForEver, parked, parkedWithDeadline, queuedBehindAnother
  }

  /// A new task in this state.
  private func task(_ doing: Doing) -> TaskID {
    switch doing {
    case .running: return scheduler.spawn()
    case .ready:
      let task = scheduler.spawn()
      scheduler.yield(task)
      return task
    case .sleeping: return scheduler.asleep(until: 100)
    case .sleepingForEver: return scheduler.asleep(until: .max)
    case .parked: return scheduler.parked(on: 4)
    case .parkedWithDeadline: return scheduler.parked(on: 4, .write, deadline: 100)
    case .queuedBehindAnother:
      _ = scheduler.parked(on: 4)
      return scheduler.parked(on: 4)
    }
  }

  // MARK: Finishing

  @Test(arguments: Doing.allCases)
  func `a task can finish whatever it does, and nothing comes of it`(_ doing: Doing) {
    let generation = scheduler.watch(4)
    let task = task(doing)
    #expect(scheduler.exists(task))
    scheduler.finish(task)
    #expect(!scheduler.exists(task))
    #expect(!scheduler.isRunning(task))
    scheduler.finish(task)
    scheduler.notify(4, generation, .read, .write)
    scheduler.expire(1000)
    let others = scheduler.turns()
    #expect(!others.map(\.task).contains(task))
    for other in others { scheduler.finish(other.task) }
    #expect(scheduler.isEmpty)
    #expect(scheduler.nextDeadline == nil)
  }

  @Test func `who finishes in another's turn gets none`() {
    let first = scheduler.spawn()
    let second = scheduler.spawn()
    scheduler.yield(first)
    scheduler.yield(second)
    var ran: [TaskID] = []
    scheduler.runTurns { turn in
      ran.append(turn.task)
      scheduler.finish(second)
    }
    #expect(ran == [first])
    #expect(scheduler.taskCount == 1)
  }

  @Test(arguments: Doing.allCases)
  func `the identity of a finished task is harmless, also when its place is taken`(
    _ doing: Doing
  ) {
    let generation = scheduler.watch(4)
    let old = task(doing)
    scheduler.finish(old)
    // The place of one that is ready is free when its turn would have come.
    if doing == .ready { #expect(scheduler.turns() == []) }
    let new = scheduler.spawn()
    #expect(new.index == old.index, "places are used again")
    #expect(new != old)

    scheduler.sleep(new, until: 500)
    scheduler.yield(old)
    scheduler.sleep(old, until: 1)
    scheduler.park(old, on: 4, .read)
    #expect(!scheduler.wake(old))
    #expect(!scheduler.cancel(old))
    scheduler.finish(old)
    #expect(scheduler.exists(new) && !scheduler.exists(old))
    #expect(scheduler.sleeping == 1)
    // Neither the old one's turn, nor its deadline, nor its descriptor is the new one's.
    scheduler.notify(4, generation, .read, .write)
    scheduler.expire(499)
    #expect(!scheduler.turns().map(\.task).contains { $0 == new || $0 == old })
    scheduler.expire(500)
    #expect(scheduler.turns() == [Ran(new, .timeout)])
  }

  @Test func `places are used again, so that tables beside stay small`() {
    for _ in 0..<1000 {
      let tasks = (0..<3).map { _ in scheduler.spawn() }
      #expect(Set(tasks.map(\.index)) == [0, 1, 2])
      for task in tasks { scheduler.finish(task) }
    }
    #expect(scheduler.taskCount == 0)
  }

  // MARK: Waking

  @Test(arguments: Doing.allCases)
  func `only sleepers can be woken`(_ doing: Doing) {
    let task = task(doing)
    let isAsleep = doing == .sleeping || doing == .sleepingForEver
    #expect(scheduler.wake(task) == isAsleep)
    #expect(!scheduler.wake(task), "it is awake now")
    guard isAsleep else { return }
    #expect(scheduler.sleeping == 0)
    #expect(scheduler.turns() == [Ran(task, .woken)])
  }

  @Test func `a woken task is not woken again by its old deadline`() {
    let task = scheduler.asleep(until: 10)
    scheduler.wake(task)
    scheduler.expire(10)
    #expect(scheduler.turns() == [Ran(task, .woken)])
    scheduler.sleep(task, until: .max)
    scheduler.expire(1000)
    #expect(scheduler.turns() == [])
  }

  // MARK: Cancelling

  @Test(arguments: Doing.allCases)
  func `whoever waits can be cancelled, once, and is told`(_ doing: Doing) {
    let generation = scheduler.watch(4)
    let task = task(doing)
    let waits = doing != .running && doing != .ready
    #expect(scheduler.cancel(task) == waits)
    #expect(!scheduler.cancel(task))
    #expect(scheduler.exists(task))
    guard waits else { return }
    #expect(scheduler.sleeping == 0)
    #expect(scheduler.waitingForDescriptor == (doing == .queuedBehindAnother ? 1 : 0))
    #expect(!scheduler.wake(task))
    // Neither its descriptor nor its deadline gives it another turn.
    scheduler.notify(4, generation, .read, .write)
    scheduler.expire(1000)
    #expect(scheduler.turns().filter { $0.task == task } == [Ran(task, .cancelled)])
    #expect(scheduler.isRunning(task))
  }

  @Test func `a cancelled task may go on`() {
    let task = scheduler.asleep(until: .max)
    scheduler.cancel(task)
    _ = scheduler.turns()
    scheduler.sleep(task, until: 5)
    scheduler.expire(5)
    #expect(scheduler.turns() == [Ran(task, .timeout)])
  }

  // MARK: Counting

  @Test func `the counters say who exists and who waits for what`() {
    #expect(scheduler.isEmpty)
    let tasks = Doing.allCases.map(task)
    // One of them has another before it in the queue.
    #expect(scheduler.taskCount == Doing.allCases.count + 1)
    #expect(scheduler.readyCount == 1)
    #expect(scheduler.sleeping == 1)
    #expect(scheduler.waitingForDescriptor == 4)
    for task in tasks { scheduler.finish(task) }
    #expect(scheduler.taskCount == 1)
    #expect(scheduler.waitingForDescriptor == 1)
    scheduler.unwatch(4)
    for turn in scheduler.turns() { scheduler.finish(turn.task) }
    #expect(scheduler.isEmpty)
  }
}
