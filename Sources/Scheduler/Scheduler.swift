import DequeModule

/// Decides who runs next. It knows tasks as numbers: what a task is, how it is resumed and how a
/// descriptor is watched are its user's.
///
/// A task is *running*, *ready* (in the queue of those whose turn comes), *waiting* (for a
/// descriptor, a deadline, both, or to be woken) or gone. Times are nanoseconds of any clock that does
/// not go backwards; the scheduler reads no clock.
///
/// ```
/// while scheduler.readyCount + scheduler.waitingForDescriptor + scheduler.sleeping > 0 {
///   wait for readiness until scheduler.nextDeadline; for each event: scheduler.notify(...)
///   scheduler.expire(now)
///   scheduler.runTurns { turn in resume(turn) }
/// }
/// ```
public final class Scheduler {
  struct Task: BitwiseCopyable {
    var generation: UInt32 = 0
    var state = State.free
    var direction = Direction.read
    /// The descriptor it waits for, or -1.
    var descriptor: Int32 = -1
    /// Wakes it when passed.
    var deadline = Int64.max
    /// The time of its entry among the deadlines; never later than `deadline` while it waits.
    var armed = Int64.max
    /// The number of its last entry; what earlier ones there are belong to nobody.
    var entry: UInt64 = 0
  }

  enum State: UInt8 {
    case free, running, ready, waiting
  }

  /// Operations that a task may do in a row before it has to give others a turn.
  public static let operationsPerTurn = 64

  private var tasks = Slab<Task>()
  private var free: [Int32] = []
  private var queue = Deque<Turn>()
  private(set) var deadlines = Deadlines()
  let descriptors = DescriptorTable()
  private var operationsLeft = operationsPerTurn

  /// Tasks that exist.
  public private(set) var taskCount = 0
  /// Tasks that wait for a descriptor.
  public private(set) var waitingForDescriptor = 0
  /// Tasks that wait for a deadline and nothing else.
  public private(set) var sleeping = 0

  public init() {}

  deinit { tasks.deallocate() }

  // MARK: Life of a task

  /// A new task, which runs already: park it, make it ready, or finish it.
  public func spawn() -> TaskID {
    let index: Int32
    if let reused = free.popLast() {
      index = reused
    } else {
      index = Int32(tasks.count)
      tasks.append(Task())
    }
    tasks[Int(index)].state = .running
    taskCount += 1
    return TaskID(index: index, generation: tasks[Int(index)].generation)
  }

  /// The task is over, whatever its state; nothing it waited for concerns it any more.
  public func finish(_ task: TaskID) {
    guard let index = place(of: task) else { return }
    if tasks[index].state == .waiting { stopWaiting(index, task) }
    if tasks[index].armed != .max {
      tasks[index].armed = .max
      tasks[index].generation &+= 1
      deadlines.abandon(isCurrent: isCurrent)
    } else {
      tasks[index].generation &+= 1
    }
    tasks[index].state = .free
    taskCount -= 1
    free.append(task.index)
  }

  /// Whether the task exists.
  public func exists(_ task: TaskID) -> Bool { place(of: task) != nil }

  /// Whether the task has its turn: it exists, is not ready and does not wait.
  @inline(__always)
  public func isRunning(_ task: TaskID) -> Bool {
    place(of: task).map { tasks[$0].state == .running } ?? false
  }

  // MARK: Waiting

  /// The running task gives others a turn and goes on after them.
  public func yield(_ task: TaskID) {
    guard let index = place(of: task), tasks[index].state == .running else { return }
    enqueue(index, task, .woken)
  }

  /// The running task waits until `descriptor` is ready in `direction` or `deadline` has passed
  /// (`Int64.max`: for ever).
  public func park(
    _ task: TaskID, on descriptor: Int32, _ direction: Direction, deadline: Int64 = .max
  ) {
    guard let index = place(of: task), tasks[index].state == .running else { return }
    tasks[index].state = .waiting
    tasks[index].descriptor = descriptor
    tasks[index].direction = direction
    waitingForDescriptor += 1
    descriptors.addWaiter(task, on: descriptor, direction)
    setDeadline(index, task, deadline)
  }

  /// The running task waits until `deadline` has passed (`Int64.max`: for ever) or it is woken.
  public func sleep(_ task: TaskID, until deadline: Int64) {
    guard let index = place(of: task), tasks[index].state == .running else { return }
    tasks[index].state = .waiting
    tasks[index].descriptor = -1
    if deadline != .max { sleeping += 1 }
    setDeadline(index, task, deadline)
  }

  /// Ends the sleep of a task. False when it is not asleep (it waits for a descriptor, is ready, runs,
  /// or is gone).
  @discardableResult
  public func wake(_ task: TaskID) -> Bool {
    guard let index = place(of: task), tasks[index].state == .waiting,
      tasks[index].descriptor < 0
    else { return false }
    stopWaiting(index, task)
    enqueue(index, task, .woken)
    return true
  }

  /// Ends whatever the task waits for; it is resumed once more, to be told. False when it does not
  /// wait (it is ready, runs, or is gone).
  @discardableResult
  public func cancel(_ task: TaskID) -> Bool {
    guard let index = place(of: task), tasks[index].state == .waiting else { return false }
    stopWaiting(index, task)
    enqueue(index, task, .cancelled)
    return true
  }

  // MARK: Events

  /// A descriptor became ready in these directions: its waiters get a turn. `generation` is the one
  /// given by ``watch(_:)``; events of a descriptor's former life are ignored.
  public func notify(
    descriptor: Int32, generation: UInt32, readable: Bool, writable: Bool, hangup: Bool
  ) {
    guard
      descriptors.markReady(
        descriptor, generation: generation, readable: readable, writable: writable,
        hangup: hangup)
    else { return }
    if readable || hangup { wakeWaiters(of: descriptor, .read) }
    if writable { wakeWaiters(of: descriptor, .write) }
  }

  /// The time has come to `now`: tasks whose deadline has passed get a turn, in the order of their
  /// deadlines.
  public func expire(_ now: Int64) {
    while let entry = deadlines.popDue(now) {
      guard isCurrent(entry) else {
        deadlines.dropAbandoned()
        continue
      }
      let index = Int(entry.task.index)
      tasks[index].armed = .max
      guard tasks[index].state == .waiting else { continue }
      let deadline = tasks[index].deadline
      if deadline == entry.time {
        stopWaiting(index, entry.task)
        enqueue(index, entry.task, .timeout)
      } else if deadline != .max {
        arm(index, entry.task, deadline)
      }
    }
  }

  /// When ``expire(_:)`` has to be called next; nil when no task has a deadline. May be earlier than
  /// any deadline that still holds.
  public var nextDeadline: Int64? { deadlines.earliest }

  // MARK: Turns

  /// Tasks whose turn comes; those that finished before it came are counted until then.
  public var readyCount: Int { queue.count }

  /// Gives each task that is ready now one turn. Tasks that become ready meanwhile wait for the next
  /// call, so that descriptors and deadlines are looked at in between.
  @inlinable
  public func runTurns(_ body: (Turn) -> Void) {
    for _ in 0..<readyCount {
      if let turn = beginNextTurn() { body(turn) }
    }
  }

  /// The next task whose turn it is; nil when it is gone.
  @usableFromInline
  func beginNextTurn() -> Turn? {
    guard let turn = queue.popFirst(), let index = place(of: turn.task),
      tasks[index].state == .ready
    else { return nil }
    tasks[index].state = .running
    operationsLeft = Self.operationsPerTurn
    return turn
  }

  /// Counts an operation of the running task. False when it has had its share: it should
  /// ``yield(_:)`` and do the operation in its next turn.
  @inline(__always)
  public func mayOperate() -> Bool {
    operationsLeft -= 1
    return operationsLeft >= 0
  }

  /// Starts a turn outside ``runTurns(_:)``.
  public func beginTurn() { operationsLeft = Self.operationsPerTurn }

  // MARK: Inside

  @inline(__always)
  private func place(of task: TaskID) -> Int? {
    let index = Int(task.index)
    guard index < tasks.count, tasks[index].generation == task.generation,
      tasks[index].state != .free
    else { return nil }
    return index
  }

  private func enqueue(_ index: Int, _ task: TaskID, _ reason: WakeReason) {
    tasks[index].state = .ready
    queue.append(Turn(task: task, reason: reason))
  }

  private func setDeadline(_ index: Int, _ task: TaskID, _ deadline: Int64) {
    tasks[index].deadline = deadline
    guard deadline < tasks[index].armed else { return }
    let superseded = tasks[index].armed != .max
    arm(index, task, deadline)
    if superseded { deadlines.abandon(isCurrent: isCurrent) }
  }

  private func arm(_ index: Int, _ task: TaskID, _ deadline: Int64) {
    tasks[index].armed = deadline
    tasks[index].entry = deadlines.insert(deadline, task)
  }

  private func isCurrent(_ entry: Deadlines.Entry) -> Bool {
    guard let index = place(of: entry.task) else { return false }
    return tasks[index].entry == entry.number
  }

  private func stopWaiting(_ index: Int, _ task: TaskID) {
    let descriptor = tasks[index].descriptor
    if descriptor >= 0 {
      waitingForDescriptor -= 1
      descriptors.removeWaiter(task, on: descriptor, tasks[index].direction)
      tasks[index].descriptor = -1
    } else if tasks[index].deadline != .max {
      sleeping -= 1
    }
    tasks[index].deadline = .max
  }

  @inline(__always)
  func wakeWaiters(of descriptor: Int32, _ direction: Direction) {
    if descriptors.mayHaveWaiter(descriptor, direction) { wakeAll(of: descriptor, direction) }
  }

  private func wakeAll(of descriptor: Int32, _ direction: Direction) {
    while let task = descriptors.takeFirstWaiter(on: descriptor, direction) {
      guard let index = place(of: task), tasks[index].state == .waiting else { return }
      waitingForDescriptor -= 1
      tasks[index].descriptor = -1
      tasks[index].deadline = .max
      enqueue(index, task, .ready)
    }
  }
}
