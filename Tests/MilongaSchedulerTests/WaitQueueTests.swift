import Testing

@testable import MilongaScheduler

@Suite struct WaitQueueTests {
  private final class Log: WaitQueueObserver {
    var left: [WaitQueueID] = []
    var inVain: [TaskID] = []

    func left(_ waitQueue: WaitQueueID) { left.append(waitQueue) }
    func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID) { inVain.append(task) }
  }

  private let scheduler = Scheduler()
  private let log = Log()
  private let waitQueue: WaitQueueID

  init() {
    waitQueue = scheduler.makeWaitQueue()
    scheduler.waitQueueObserver = log
  }

  private func waiting(deadline: Int64 = .max, in waitQueue: WaitQueueID? = nil) -> TaskID {
    let task = scheduler.spawn()
    scheduler.wait(task, in: waitQueue ?? self.waitQueue, deadline: deadline)
    return task
  }

  private var all: [TaskID] {
    var tasks: [TaskID] = []
    var next = scheduler.first(in: waitQueue)
    while let task = next {
      tasks.append(task)
      next = scheduler.next(after: task)
    }
    return tasks
  }

  @Test func `who has waited longest is admitted first`() {
    let tasks = (0..<5).map { _ in waiting() }
    #expect(all == tasks)
    for task in tasks { #expect(scheduler.admitFirst(of: waitQueue) == task) }
    #expect(scheduler.admitFirst(of: waitQueue) == nil)
    #expect(scheduler.turns() == tasks.map { Ran($0, .ready) })
    #expect(log.left == [] && log.inVain == [])
  }

  @Test(arguments: 0..<5) func `one leaves from anywhere`(_ place: Int) {
    var tasks = (0..<5).map { _ in waiting() }
    let gone = tasks.remove(at: place)
    #expect(scheduler.cancel(gone))
    #expect(all == tasks && log.left == [waitQueue])
    #expect(scheduler.turns() == [Ran(gone, .cancelled)])
    tasks.append(waiting())
    #expect(all == tasks)
  }

  @Test func `finishing takes a task out, too`() {
    let tasks = (0..<3).map { _ in waiting(deadline: 10) }
    scheduler.finish(tasks[1])
    #expect(all == [tasks[0], tasks[2]] && log.left == [waitQueue])
    #expect(scheduler.sleeping == 2)
  }

  @Test func `a deadline ends the wait of one`() {
    let tasks = [20, .max, 10].map { waiting(deadline: $0) }
    #expect(scheduler.sleeping == 2, "who waits for ever is not counted")
    scheduler.expire(10)
    #expect(scheduler.turns() == [Ran(tasks[2], .timeout)])
    #expect(all == [tasks[0], tasks[1]] && log.left == [waitQueue])
    scheduler.admitFirst(of: waitQueue)
    scheduler.expire(100)
    #expect(scheduler.turns() == [Ran(tasks[0], .ready)], "admitted before its deadline")
    #expect(scheduler.sleeping == 0 && log.left == [waitQueue])
  }

  @Test func `waking is for those who sleep`() {
    let task = waiting()
    #expect(!scheduler.wake(task))
    #expect(all == [task])
  }

  @Test func `what an admitted task did not live to see is told`() {
    let first = waiting()
    let second = waiting()
    scheduler.admitFirst(of: waitQueue)
    scheduler.admitFirst(of: waitQueue)
    scheduler.finish(first)
    #expect(log.inVain == [first])
    #expect(scheduler.turns() == [Ran(second, .ready)])
    scheduler.finish(second)
    #expect(log.inVain == [first], "it had its turn")
    #expect(log.left == [] && scheduler.isEmpty)
  }

  @Test func `a turn after the one it was admitted for is another matter`() {
    let task = waiting()
    scheduler.admitFirst(of: waitQueue)
    _ = scheduler.turns()
    scheduler.yield(task)
    scheduler.finish(task)
    #expect(log.inVain == [] && log.left == [])
  }

  @Test func `wait queues know nothing of each other`() {
    let other = scheduler.makeWaitQueue()
    let tasks = [waiting(), waiting(in: other), waiting(), waiting(in: other)]
    #expect(scheduler.admitFirst(of: other) == tasks[1])
    #expect(all == [tasks[0], tasks[2]])
    scheduler.cancel(tasks[3])
    #expect(log.left == [other])
  }

  @Test func `removing a wait queue gives all in it a turn, and its place to the next`() {
    let tasks = (0..<3).map { _ in waiting() }
    scheduler.removeWaitQueue(waitQueue)
    #expect(scheduler.turns() == tasks.map { Ran($0, .ready) })
    #expect(scheduler.makeWaitQueue() == waitQueue)
    #expect(all == [])
  }

  @Test func `an observer may admit others while one leaves`() {
    final class Admitter: WaitQueueObserver {
      let scheduler: Scheduler
      init(_ scheduler: Scheduler) { self.scheduler = scheduler }
      func left(_ waitQueue: WaitQueueID) { scheduler.admitFirst(of: waitQueue) }
      func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID) {
        scheduler.admitFirst(of: waitQueue)
      }
    }
    let admitter = Admitter(scheduler)
    scheduler.waitQueueObserver = admitter
    let tasks = (0..<4).map { _ in waiting(deadline: 10) }
    scheduler.expire(10)
    #expect(
      scheduler.turns() == [
        Ran(tasks[0], .timeout), Ran(tasks[1], .ready), Ran(tasks[2], .timeout),
        Ran(tasks[3], .ready),
      ])
  }
}
