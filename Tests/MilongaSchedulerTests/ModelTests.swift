import MilongaTestSupport
import Testing

@testable import MilongaScheduler

@Suite struct ModelTests {
  @Test(arguments: [3, 40, 400])
  func `it equals a simple model, whatever is done to it`(_ mostTasks: Int) {
    var run = ModelRun(mostTasks: mostTasks)
    for _ in 0..<20_000 { run.step() }
    run.end()
  }
}

/// What the scheduler should do, without any of its economies.
private struct Model {
  enum Doing: Equatable {
    case running
    case ready(WakeReason)
    case asleep(until: Int64)
    case parked(on: Int32, Direction, until: Int64)

    var deadline: Int64? {
      switch self {
      case .asleep(let deadline), .parked(_, _, let deadline): deadline == .max ? nil : deadline
      default: nil
      }
    }
  }

  struct Descriptor {
    var generation: UInt32?
    var unready: Set<Direction> = []
    var hasHungUp = false
    var waiters: [Direction: [TaskID]] = [:]
  }

  var tasks: [TaskID: Doing] = [:]
  var queue: [TaskID] = []
  var descriptors: [Int32: Descriptor] = [:]

  /// Whatever the task waits for, it gets a turn; false when it does not wait.
  @discardableResult
  mutating func resume(_ task: TaskID, _ reason: WakeReason) -> Bool {
    switch tasks[task] {
    case .asleep: break
    case .parked(let descriptor, let direction, _):
      descriptors[descriptor]?.waiters[direction]?.removeAll { $0 == task }
    default: return false
    }
    tasks[task] = .ready(reason)
    queue.append(task)
    return true
  }

  mutating func resumeAll(on descriptor: Int32, _ direction: Direction) {
    for task in descriptors[descriptor]?.waiters[direction] ?? [] { resume(task, .ready) }
  }

  mutating func finish(_ task: TaskID) {
    resume(task, .cancelled)
    queue.removeAll { $0 == task }
    tasks[task] = nil
  }

  mutating func expire(_ now: Int64) {
    let due = tasks.compactMap { task, doing in doing.deadline.map { (task: task, time: $0) } }
      .filter { $0.time <= now }
    for (task, _) in due.sorted(by: { $0.time < $1.time }) { resume(task, .timeout) }
  }

  func isReady(_ descriptor: Int32, _ direction: Direction) -> Bool {
    guard let known = descriptors[descriptor], known.generation != nil else { return true }
    return !known.unready.contains(direction) || direction == .read && known.hasHungUp
  }
}

/// Does the same random things to a scheduler and to the model, and compares.
private struct ModelRun {
  /// Times are whole units, plus a number of its own for each deadline.
  private static let unit: Int64 = 1_000_000

  private let mostTasks: Int
  private let scheduler = Scheduler()
  private var model = Model()
  private var generator: SeededGenerator
  private var gone: [TaskID] = []
  private var now: Int64 = 0
  private var lastDeadline: Int64 = 0
  private let numbers: [Int32] = [0, 1, 2, 7]

  init(mostTasks: Int) {
    self.mostTasks = mostTasks
    generator = SeededGenerator(for: "scheduler with \(mostTasks) tasks")
  }

  mutating func step() {
    switch generator.below(16) {
    case 0..<3 where model.tasks.count < mostTasks:
      let task = scheduler.spawn()
      #expect(model.tasks.updateValue(.running, forKey: task) == nil)
      goOn(task)
    case 3..<6: runTurns()
    case 6..<9: notify()
    case 9..<11:
      now += Int64(generator.below(50_000)) * Self.unit
      scheduler.expire(now)
      model.expire(now)
    case 11:
      let task = anyTask()
      let isAsleep = if case .asleep = model.tasks[task] { true } else { false }
      #expect(scheduler.wake(task) == isAsleep)
      if isAsleep { model.resume(task, .woken) }
    case 12:
      let task = anyTask()
      #expect(scheduler.cancel(task) == model.resume(task, .cancelled))
    case 13:
      if generator.below(3) == 0 { finish(anyTask()) }
    case 14:
      let number = anyNumber()
      if generator.below(2) == 0 {
        watch(number)
      } else {
        unwatch(number)
      }
    default:
      let number = anyNumber()
      let direction = anyDirection()
      scheduler.markUnready(number, direction)
      if model.descriptors[number]?.generation != nil {
        model.descriptors[number]?.unready.insert(direction)
      }
    }
    compare()
  }

  /// Everybody ends.
  mutating func end() {
    for task in Array(model.tasks.keys) { finish(task) }
    #expect(scheduler.turns() == [])
    #expect(scheduler.isEmpty)
    scheduler.expire(.max)
    #expect(scheduler.nextDeadline == nil)
    for number in numbers {
      #expect(!scheduler.hasWaiter(number, .read) && !scheduler.hasWaiter(number, .write))
    }
  }

  // MARK: What is done

  private mutating func runTurns() {
    let expected = model.queue
    model.queue = []
    var expectedTurns = expected[...]
    scheduler.runTurns { turn in
      // Tasks that earlier turns have finished have no turn.
      while let next = expectedTurns.first, model.tasks[next] == nil { expectedTurns.removeFirst() }
      #expect(turn.task == expectedTurns.popFirst())
      #expect(model.tasks[turn.task] == .ready(turn.reason))
      model.tasks[turn.task] = .running
      #expect(scheduler.isRunning(turn.task))
      if generator.below(10) == 0 { finish(anyTask()) }
      if model.tasks[turn.task] != nil { goOn(turn.task) }
    }
    #expect(expectedTurns.allSatisfy { model.tasks[$0] == nil })
  }

  /// What a running task does next.
  private mutating func goOn(_ task: TaskID) {
    switch generator.below(8) {
    case 0: finish(task)
    case 1:
      scheduler.yield(task)
      model.tasks[task] = .ready(.woken)
      model.queue.append(task)
    case 2..<4:
      let deadline = anyDeadline()
      scheduler.sleep(task, until: deadline)
      model.tasks[task] = .asleep(until: deadline)
    default:
      let (number, direction, deadline) = (anyNumber(), anyDirection(), anyDeadline())
      scheduler.park(task, on: number, direction, deadline: deadline)
      model.tasks[task] = .parked(on: number, direction, until: deadline)
      model.descriptors[number, default: .init()].waiters[direction, default: []].append(task)
    }
  }

  private mutating func finish(_ task: TaskID) {
    scheduler.finish(task)
    if model.tasks[task] != nil {
      model.finish(task)
      gone.append(task)
    }
    #expect(!scheduler.exists(task))
  }

  private mutating func watch(_ number: Int32) {
    let generation = scheduler.watch(number)
    let former = model.descriptors[number]?.generation
    #expect(generation != former)
    model.descriptors[number, default: .init()].generation = generation
    model.descriptors[number]?.unready = []
    model.descriptors[number]?.hasHungUp = false
  }

  private mutating func unwatch(_ number: Int32) {
    scheduler.unwatch(number)
    model.resumeAll(on: number, .read)
    model.resumeAll(on: number, .write)
    model.descriptors[number]?.generation = nil
  }

  private mutating func notify() {
    let number = anyNumber()
    let current = model.descriptors[number]?.generation
    let isStale = generator.below(4) == 0
    let generation = isStale ? (current ?? 0) &- 1 : current ?? 0
    let readable = generator.below(2) == 0
    let writable = generator.below(2) == 0
    let hangup = generator.below(10) == 0
    scheduler.notify(
      descriptor: number, generation: generation, readable: readable, writable: writable,
      hangup: hangup)
    guard let current, generation == current else { return }
    if hangup { model.descriptors[number]?.hasHungUp = true }
    if readable { model.descriptors[number]?.unready.remove(.read) }
    if writable { model.descriptors[number]?.unready.remove(.write) }
    if readable || hangup { model.resumeAll(on: number, .read) }
    if writable { model.resumeAll(on: number, .write) }
  }

  private func compare() {
    let doing = model.tasks.values
    #expect(scheduler.taskCount == model.tasks.count)
    #expect(scheduler.readyCount >= model.queue.count)
    let sleeping = doing.count { if case .asleep(let until) = $0 { until != .max } else { false } }
    #expect(scheduler.sleeping == sleeping)
    let parked = doing.count { if case .parked = $0 { true } else { false } }
    #expect(scheduler.waitingForDescriptor == parked)
    for number in numbers {
      #expect(scheduler.isWatched(number) == (model.descriptors[number]?.generation != nil))
      for direction in [Direction.read, .write] {
        #expect(scheduler.isReady(number, direction) == model.isReady(number, direction))
        let waiters = model.descriptors[number]?.waiters[direction] ?? []
        #expect(scheduler.hasWaiter(number, direction) == !waiters.isEmpty)
      }
    }
    if let earliest = doing.lazy.compactMap(\.deadline).min() {
      #expect(scheduler.nextDeadline.map { $0 <= earliest } == true)
    }
    #expect(scheduler.deadlines.count <= 2 * (model.tasks.count + 1025))
  }

  // MARK: What it is done to

  /// A task, or one that is gone.
  private mutating func anyTask() -> TaskID {
    if !gone.isEmpty, model.tasks.isEmpty || generator.below(8) == 0 {
      return gone[generator.below(gone.count)]
    }
    // In an order that depends on nothing but the seed.
    let tasks = model.tasks.keys.sorted { $0.index < $1.index }
    return tasks.isEmpty ? scheduler.spawnedAndFinished() : tasks[generator.below(tasks.count)]
  }

  private mutating func anyNumber() -> Int32 { numbers[generator.below(numbers.count)] }

  private mutating func anyDirection() -> Direction { generator.below(2) == 0 ? .read : .write }

  /// For ever, in the past, soon or later; none twice, for the order among equal ones depends on
  /// when their entries were made.
  private mutating func anyDeadline() -> Int64 {
    if generator.below(4) == 0 { return .max }
    lastDeadline += 1
    let distances = [-100_000, 0, 50_000, 10_000_000]
    let distance = distances[generator.below(distances.count)] + generator.below(30_000)
    return now + Int64(distance) * Self.unit + lastDeadline
  }
}

extension Scheduler {
  fileprivate func spawnedAndFinished() -> TaskID {
    let task = spawn()
    finish(task)
    return task
  }
}
