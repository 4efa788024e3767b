import Testing

@testable import MilongaScheduler

@Suite struct DeadlineTests {
  let scheduler = Scheduler()

  // MARK: Expiring

  @Test func `deadlines pass in their order, whatever the order they were set in`() {
    let late = scheduler.asleep(until: 30)
    let soon = scheduler.asleep(until: 10)
    let middle = scheduler.parked(on: 3, deadline: 20)
    #expect(scheduler.nextDeadline == 10)
    scheduler.expire(9)
    #expect(scheduler.turns() == [])
    scheduler.expire(30)
    #expect(scheduler.turns() == [soon, middle, late].map { Ran($0, .timeout) })
    #expect(scheduler.nextDeadline == nil)
    #expect(scheduler.sleeping == 0 && scheduler.waitingForDescriptor == 0)
  }

  @Test func `equal deadlines pass in the order in which they were set`() {
    let tasks = (0..<100).map { _ in scheduler.asleep(until: 7) }
    scheduler.expire(7)
    #expect(scheduler.turns() == tasks.map { Ran($0, .timeout) })
  }

  @Test func `a deadline that was put off passes in its new place`() {
    let generation = scheduler.watch(3)
    let first = scheduler.parked(on: 3, deadline: 10)
    scheduler.notify(3, generation, .read)
    _ = scheduler.turns()
    scheduler.sleep(first, until: 100)
    let second = scheduler.asleep(until: 50)
    // Late: both have passed, and the entry of the first is still the earlier one.
    scheduler.expire(200)
    #expect(scheduler.turns() == [Ran(second, .timeout), Ran(first, .timeout)])
  }

  @Test(arguments: [Int64.min, -1, 0, 5])
  func `a deadline in the past passes at once`(_ deadline: Int64) {
    let task = scheduler.asleep(until: deadline)
    scheduler.expire(5)
    #expect(scheduler.turns() == [Ran(task, .timeout)])
  }

  @Test func `for ever is no deadline`() {
    let sleeper = scheduler.asleep(until: .max)
    let reader = scheduler.parked(on: 3)
    #expect(scheduler.nextDeadline == nil)
    #expect(scheduler.sleeping == 0, "who only waits to be woken is not counted")
    scheduler.expire(.max)
    #expect(scheduler.turns() == [])
    #expect(scheduler.exists(sleeper) && scheduler.exists(reader))
  }

  @Test func `ready before its deadline is no timeout, however late one looks`() {
    let generation = scheduler.watch(3)
    let task = scheduler.parked(on: 3, deadline: 10)
    scheduler.notify(3, generation, .read)
    scheduler.expire(1000)
    #expect(scheduler.turns() == [Ran(task, .ready)])
  }

  @Test func `after a timeout readiness gives no second turn`() {
    let generation = scheduler.watch(3)
    let task = scheduler.parked(on: 3, deadline: 10)
    scheduler.expire(10)
    scheduler.notify(3, generation, .read)
    #expect(scheduler.turns() == [Ran(task, .timeout)])
    #expect(!scheduler.hasWaiter(3, .read))
    #expect(scheduler.isReady(3, .read), "the event is not lost")
  }

  // MARK: Lazy re-arming

  @Test func `a task that waits again and again has one entry`() {
    let generation = scheduler.watch(3)
    let task = scheduler.parked(on: 3, deadline: 1)
    for deadline in 2...5000 as ClosedRange<Int64> {
      scheduler.notify(3, generation, .read)
      _ = scheduler.turns()
      scheduler.park(task, on: 3, .read, deadline: deadline)
      #expect(scheduler.deadlines.count == 1)
    }
    #expect(scheduler.nextDeadline == 1)
    // It comes up too early, and is put back for the deadline that holds.
    scheduler.expire(1)
    #expect(scheduler.turns() == [])
    #expect(scheduler.nextDeadline == 5000)
    scheduler.expire(4999)
    #expect(scheduler.turns() == [])
    scheduler.expire(5000)
    #expect(scheduler.turns() == [Ran(task, .timeout)])
    #expect(scheduler.deadlines.count == 0)
  }

  @Test func `the entry of a task that waits for ever now is dropped when it comes up`() {
    let task = scheduler.asleep(until: 10)
    scheduler.wake(task)
    _ = scheduler.turns()
    scheduler.sleep(task, until: .max)
    #expect(scheduler.nextDeadline == 10, "it may be earlier than any that holds")
    scheduler.expire(10)
    #expect(scheduler.turns() == [])
    #expect(scheduler.nextDeadline == nil)
  }

  @Test func `an earlier deadline takes the place of a later one`() {
    let task = scheduler.asleep(until: 1000)
    scheduler.wake(task)
    _ = scheduler.turns()
    scheduler.sleep(task, until: 10)
    #expect(scheduler.nextDeadline == 10)
    scheduler.expire(10)
    #expect(scheduler.turns() == [Ran(task, .timeout)])
    // The old entry means nothing any more, even with the same time again.
    scheduler.sleep(task, until: 2000)
    scheduler.expire(1000)
    #expect(scheduler.turns() == [])
    scheduler.expire(2000)
    #expect(scheduler.turns() == [Ran(task, .timeout)])
    #expect(scheduler.deadlines.count == 0)
  }

  // MARK: Sweeping

  @Test func `entries of finished tasks are swept out`() {
    let keeper = scheduler.asleep(until: 1_000_000)
    for deadline in 0..<100_000 as Range<Int64> {
      scheduler.finish(scheduler.asleep(until: 2_000_000 + deadline))
      #expect(scheduler.deadlines.count < 3000)
    }
    scheduler.expire(1_000_000)
    #expect(scheduler.turns() == [Ran(keeper, .timeout)])
  }

  @Test func `sweeping keeps all that hold`() {
    let tasks = (0..<2000).map { scheduler.asleep(until: 10_000 + $0) }
    for _ in 0..<10_000 { scheduler.finish(scheduler.asleep(until: 5000)) }
    #expect(scheduler.deadlines.count < 2000 + 2000 + 1025)
    scheduler.expire(20_000)
    #expect(scheduler.turns() == tasks.map { Ran($0, .timeout) })
  }

  @Test func `short sleeps before far deadlines do not pile up entries`() {
    let generation = scheduler.watch(3)
    let far: Int64 = 1_000_000_000
    let tasks = (0..<10).map { _ in scheduler.parked(on: 3, deadline: far) }
    for now in 0..<12_000 as Range<Int64> {
      scheduler.notify(3, generation, .read)
      _ = scheduler.turns()
      // One sleeps a little, while the others wait on.
      let sleeper = tasks[Int(now) % tasks.count]
      scheduler.sleep(sleeper, until: now)
      for task in tasks where task != sleeper { scheduler.park(task, on: 3, .read, deadline: far) }
      scheduler.expire(now)
      #expect(scheduler.turns() == [Ran(sleeper, .timeout)])
      scheduler.park(sleeper, on: 3, .read, deadline: far)
      #expect(scheduler.deadlines.count < 3000)
    }
    scheduler.expire(far)
    #expect(Set(scheduler.turns().map(\.task)) == Set(tasks))
    #expect(scheduler.deadlines.count == 0)
  }
}
