import Testing

@testable import Scheduler

@Suite struct LineTests {
  private final class Log: LineObserver {
    var left: [LineID] = []
    var inVain: [TaskID] = []

    func left(_ line: LineID) { left.append(line) }
    func wasAdmittedInVain(_ task: TaskID, to line: LineID) { inVain.append(task) }
  }

  private let scheduler = Scheduler()
  private let log = Log()
  private let line: LineID

  init() {
    line = scheduler.makeLine()
    scheduler.lineObserver = log
  }

  private func waiting(deadline: Int64 = .max, in line: LineID? = nil) -> TaskID {
    let task = scheduler.spawn()
    scheduler.wait(task, in: line ?? self.line, deadline: deadline)
    return task
  }

  private var all: [TaskID] {
    var tasks: [TaskID] = []
    var next = scheduler.first(in: line)
    while let task = next {
      tasks.append(task)
      next = scheduler.next(after: task)
    }
    return tasks
  }

  @Test func `who has waited longest is admitted first`() {
    let tasks = (0..<5).map { _ in waiting() }
    #expect(all == tasks)
    for task in tasks { #expect(scheduler.admitFirst(of: line) == task) }
    #expect(scheduler.admitFirst(of: line) == nil)
    #expect(scheduler.turns() == tasks.map { Ran($0, .ready) })
    #expect(log.left == [] && log.inVain == [])
  }

  @Test(arguments: 0..<5) func `one leaves from anywhere`(_ place: Int) {
    var tasks = (0..<5).map { _ in waiting() }
    let gone = tasks.remove(at: place)
    #expect(scheduler.cancel(gone))
    #expect(all == tasks && log.left == [line])
    #expect(scheduler.turns() == [Ran(gone, .cancelled)])
    tasks.append(waiting())
    #expect(all == tasks)
  }

  @Test func `finishing takes a task out, too`() {
    let tasks = (0..<3).map { _ in waiting(deadline: 10) }
    scheduler.finish(tasks[1])
    #expect(all == [tasks[0], tasks[2]] && log.left == [line])
    #expect(scheduler.sleeping == 2)
  }

  @Test func `a deadline ends the wait of one`() {
    let tasks = [20, .max, 10].map { waiting(deadline: $0) }
    #expect(scheduler.sleeping == 2, "who waits for ever is not counted")
    scheduler.expire(10)
    #expect(scheduler.turns() == [Ran(tasks[2], .timeout)])
    #expect(all == [tasks[0], tasks[1]] && log.left == [line])
    scheduler.admitFirst(of: line)
    scheduler.expire(100)
    #expect(scheduler.turns() == [Ran(tasks[0], .ready)], "admitted before its deadline")
    #expect(scheduler.sleeping == 0 && log.left == [line])
  }

  @Test func `waking is for those who sleep`() {
    let task = waiting()
    #expect(!scheduler.wake(task))
    #expect(all == [task])
  }

  @Test func `what an admitted task did not live to see is told`() {
    let first = waiting()
    let second = waiting()
    scheduler.admitFirst(of: line)
    scheduler.admitFirst(of: line)
    scheduler.finish(first)
    #expect(log.inVain == [first])
    #expect(scheduler.turns() == [Ran(second, .ready)])
    scheduler.finish(second)
    #expect(log.inVain == [first], "it had its turn")
    #expect(log.left == [] && scheduler.isEmpty)
  }

  @Test func `a turn after the one it was admitted for is another matter`() {
    let task = waiting()
    scheduler.admitFirst(of: line)
    _ = scheduler.turns()
    scheduler.yield(task)
    scheduler.finish(task)
    #expect(log.inVain == [] && log.left == [])
  }

  @Test func `lines know nothing of each other`() {
    let other = scheduler.makeLine()
    let tasks = [waiting(), waiting(in: other), waiting(), waiting(in: other)]
    #expect(scheduler.admitFirst(of: other) == tasks[1])
    #expect(all == [tasks[0], tasks[2]])
    scheduler.cancel(tasks[3])
    #expect(log.left == [other])
  }

  @Test func `removing a line gives all in it a turn, and its place to the next`() {
    let tasks = (0..<3).map { _ in waiting() }
    scheduler.removeLine(line)
    #expect(scheduler.turns() == tasks.map { Ran($0, .ready) })
    #expect(scheduler.makeLine() == line)
    #expect(all == [])
  }

  @Test func `an observer may admit others while one leaves`() {
    final class Admitter: LineObserver {
      let scheduler: Scheduler
      init(_ scheduler: Scheduler) { self.scheduler = scheduler }
      func left(_ line: LineID) { scheduler.admitFirst(of: line) }
      func wasAdmittedInVain(_ task: TaskID, to line: LineID) {
        scheduler.admitFirst(of: line)
      }
    }
    let admitter = Admitter(scheduler)
    scheduler.lineObserver = admitter
    let tasks = (0..<4).map { _ in waiting(deadline: 10) }
    scheduler.expire(10)
    #expect(
      scheduler.turns() == [
        Ran(tasks[0], .timeout), Ran(tasks[1], .ready), Ran(tasks[2], .timeout),
        Ran(tasks[3], .ready),
      ])
  }
}
