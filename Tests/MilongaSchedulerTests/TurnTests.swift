import MilongaScheduler
import Testing

@Suite struct TurnTests {
  let scheduler = Scheduler()

  @Test func `those who yield run in their order`() {
    let tasks = (0..<5).map { _ in scheduler.spawn() }
    for task in tasks.reversed() { scheduler.yield(task) }
    #expect(scheduler.readyCount == 5)
    #expect(scheduler.turns() == tasks.reversed().map { Ran($0, .woken) })
    #expect(scheduler.readyCount == 0)
    #expect(scheduler.turns() == [])
  }

  @Test func `who becomes ready meanwhile waits for the next turns`() {
    let first = scheduler.spawn()
    let second = scheduler.asleep(until: .max)
    scheduler.yield(first)
    var ran: [TaskID] = []
    var spawned: TaskID?
    scheduler.runTurns { turn in
      ran.append(turn.task)
      let task = scheduler.spawn()
      spawned = task
      scheduler.yield(task)
      scheduler.wake(second)
      scheduler.yield(turn.task)
    }
    #expect(ran == [first])
    #expect(scheduler.turns().map(\.task) == [spawned, second, first])
  }

  @Test func `who always yields starves nobody`() {
    let greedy = scheduler.spawn()
    let sleeper = scheduler.asleep(until: 5)
    scheduler.yield(greedy)
    var turnsOfGreedy = 0
    var hasSleeperRun = false
    for now in 0..<10 as Range<Int64> {
      scheduler.expire(now)
      scheduler.runTurns { turn in
        if turn.task == greedy {
          turnsOfGreedy += 1
          scheduler.yield(greedy)
        } else {
          hasSleeperRun = turn.task == sleeper
        }
      }
    }
    #expect(turnsOfGreedy == 10)
    #expect(hasSleeperRun)
  }

  @Test func `a turn has a bounded number of operations`() {
    let tasks = [scheduler.spawn(), scheduler.spawn()]
    for task in tasks { scheduler.yield(task) }
    var operations: [Int] = []
    scheduler.runTurns { _ in
      var count = 0
      while scheduler.mayOperate() { count += 1 }
      #expect(!scheduler.mayOperate(), "the share does not come back by asking")
      operations.append(count)
    }
    #expect(operations == [Scheduler.operationsPerTurn, Scheduler.operationsPerTurn])
  }

  @Test func `a turn begun outside has its own operations`() {
    for _ in 0..<3 {
      scheduler.beginTurn()
      var count = 0
      while scheduler.mayOperate() { count += 1 }
      #expect(count == Scheduler.operationsPerTurn)
    }
  }

  @Test func `a task has its turn until it waits`() {
    let task = scheduler.spawn()
    #expect(scheduler.isRunning(task))
    scheduler.yield(task)
    #expect(!scheduler.isRunning(task))
    scheduler.runTurns { _ in #expect(scheduler.isRunning(task)) }
    #expect(scheduler.isRunning(task), "it did nothing that ends its turn")
    scheduler.sleep(task, until: .max)
    #expect(!scheduler.isRunning(task))
  }

  @Test func `only who runs can yield, sleep or park`() {
    let ready = scheduler.spawn()
    scheduler.yield(ready)
    scheduler.yield(ready)
    scheduler.sleep(ready, until: 1)
    scheduler.park(ready, on: 3, .read, deadline: 1)
    #expect(scheduler.readyCount == 1)
    #expect(scheduler.sleeping == 0 && scheduler.waitingForDescriptor == 0)
    #expect(!scheduler.hasWaiter(3, .read))

    let waiting = scheduler.asleep(until: 10)
    scheduler.yield(waiting)
    scheduler.sleep(waiting, until: 1)
    scheduler.park(waiting, on: 3, .read, deadline: 1)
    #expect(scheduler.sleeping == 1 && scheduler.waitingForDescriptor == 0)
    scheduler.expire(9)
    #expect(scheduler.turns() == [Ran(ready, .woken)])
    scheduler.expire(10)
    #expect(scheduler.turns() == [Ran(waiting, .timeout)])
  }

  @Test func `turns inside of turns do not run anybody twice`() {
    let tasks = (0..<3).map { _ in scheduler.spawn() }
    for task in tasks { scheduler.yield(task) }
    var ran: [TaskID] = []
    scheduler.runTurns { turn in
      ran.append(turn.task)
      scheduler.runTurns { ran.append($0.task) }
    }
    #expect(ran == tasks)
  }
}
