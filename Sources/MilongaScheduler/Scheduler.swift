/// Decides which task runs next. It knows tasks as numbers: what a task is, how it is resumed and
/// how a descriptor is watched is up to its user.
///
/// A task is *running*, *ready* (in the queue of those whose turn comes), *waiting* (for a
/// descriptor, a deadline, both, or to be woken) or gone. Times are nanoseconds of any clock that
/// does not go backwards; the scheduler reads no clock.
///
/// ```
/// while scheduler.readyCount + scheduler.waitingForDescriptor + scheduler.sleeping > 0 {
///   wait for readiness until scheduler.nextDeadline; for each event: scheduler.notify(...)
///   scheduler.expire(now)
///   scheduler.runTurns { turn in resume(turn) }
/// }
/// ```
public final class Scheduler {
  @usableFromInline
  struct Task: BitwiseCopyable {
    /// Equals `TaskID.generation` until the task ends.
    @usableFromInline var generation: UInt32 = 0
    @usableFromInline var state = State.free
    var direction = Direction.read
    /// While ready: why.
    var reason = WakeReason.woken
    /// The descriptor it waits for, or -1; below that a wait queue: see ``WaitQueueID``.
    var descriptor: Int32 = -1
    /// While ready or in a wait queue: the next task's index, or -1.
    var next: Int32 = -1
    /// While in a wait queue: the index of the task before it, or -1.
    var previous: Int32 = -1
    /// Wakes it when passed.
    var deadline = Int64.max
    /// The time of its entry among the deadlines; never later than `deadline` while it waits.
    var armed = Int64.max
    /// The number of its last entry among the deadlines; earlier ones do not count.
    var entry: UInt64 = 0
  }

  @usableFromInline
  enum State: UInt8, BitwiseCopyable {
    case free, running, ready, waiting
    /// Gone before its turn came: its place is free when it leaves the list of the ready tasks.
    case gone
  }

  typealias Place = UnsafeMutablePointer<Task>

  /// Operations that a task may do in a row before it has to give others a turn.
  public static let operationsPerTurn = 64

  @usableFromInline var tasks = RawArray<Task>()
  private var free: [Int32] = []
  /// The ready tasks are a list through their places, so that a turn takes no memory of its own.
  @usableFromInline private(set) var firstReady: Int32 = -1
  private var lastReady: Int32 = -1
  private(set) var deadlines = Deadlines()
  @usableFromInline var descriptors = DescriptorTable()
  var waitQueues = RawArray<WaitQueue>()
  var freeWaitQueues: [Int32] = []
  /// Told about tasks that leave their wait queue by themselves.
  ///
  /// Not weak: retaining and releasing an object is slower as soon as a weak reference to it
  /// exists.
  package unowned var waitQueueObserver: (any WaitQueueObserver)?
  @usableFromInline var operationsLeft = operationsPerTurn

  /// Tasks that exist.
  public private(set) var taskCount = 0
  /// Tasks whose turn comes; those that finished before it came are counted until then.
  public private(set) var readyCount = 0
  /// Of the round of ``runTurns(_:)``.
  @usableFromInline var turnsLeft = 0
  /// Tasks that wait for a descriptor.
  public private(set) var waitingForDescriptor = 0
  /// Tasks that wait for a deadline and no descriptor.
  public internal(set) var sleeping = 0

  public init() {}

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
    let task = tasks.place(index)!
    task.pointee.state = .running
    taskCount += 1
    return TaskID(index: index, generation: task.pointee.generation)
  }

  /// The task is over, whatever its state; nothing it waited for concerns it any more.
  public func finish(_ id: TaskID) {
    guard let task = place(of: id) else { return }
    let waitQueue: WaitQueueID?
    let wasAdmitted = task.pointee.state == .ready
    if task.pointee.state == .waiting {
      waitQueue = stopWaiting(task, id)
    } else {
      waitQueue = wasAdmitted ? WaitQueueID(descriptor: task.pointee.descriptor) : nil
      task.pointee.descriptor = -1
    }
    task.pointee.generation &+= 1
    if task.pointee.armed != .max {
      task.pointee.armed = .max
      deadlines.abandon(isCurrent: isCurrent)
    }
    taskCount -= 1
    if task.pointee.state == .ready {
      task.pointee.state = .gone
    } else {
      task.pointee.state = .free
      free.append(id.index)
    }
    guard let waitQueue else { return }
    if wasAdmitted {
      waitQueueObserver?.wasAdmittedInVain(id, to: waitQueue)
    } else {
      waitQueueObserver?.left(waitQueue)
    }
  }

  /// Whether the task exists.
  public func exists(_ id: TaskID) -> Bool { place(of: id) != nil }

  /// Whether the task has its turn: it exists, is not ready and does not wait.
  @inlinable
  public func isRunning(_ id: TaskID) -> Bool { place(of: id)?.pointee.state == .running }

  /// The task that has this place; nil when it is free.
  public func task(at index: Int32) -> TaskID? {
    guard let task = tasks.place(index), task.pointee.state != .free, task.pointee.state != .gone
    else { return nil }
    return TaskID(index: index, generation: task.pointee.generation)
  }

  /// What a task waits for.
  public enum Wait: Equatable, Sendable {
    /// It runs, or is gone.
    case nothing
    /// Its turn comes.
    case turn
    /// To be woken, or admitted, or for the time (`Int64.max` for none).
    case time(Int64)
    case descriptor(Int32, Direction)
  }

  /// What the task waits for, for people that look for faults.
  public func wait(of id: TaskID) -> Wait {
    guard let task = place(of: id) else { return .nothing }
    switch task.pointee.state {
    case .free, .gone, .running: return .nothing
    case .ready: return .turn
    case .waiting where task.pointee.descriptor >= 0:
      return .descriptor(task.pointee.descriptor, task.pointee.direction)
    case .waiting: return .time(task.pointee.deadline)
    }
  }

  /// How many wait for a descriptor, by direction. Looks at every task.
  public var waitingCounts: (read: Int, write: Int) {
    var counts = (read: 0, write: 0)
    for index in 0..<tasks.count {
      guard let task = tasks.place(Int32(index)), task.pointee.state == .waiting,
        task.pointee.descriptor >= 0
      else { continue }
      if task.pointee.direction == .read { counts.read += 1 } else { counts.write += 1 }
    }
    return counts
  }

  // MARK: Waiting

  /// The running task gives others a turn and goes on after them.
  public func yield(_ id: TaskID) {
    guard let task = place(of: id), task.pointee.state == .running else { return }
    enqueue(task, id, .woken)
  }

  /// The running task waits until `descriptor` is ready in `direction` or `deadline` has passed
  /// (`Int64.max`: for ever).
  public func park(
    _ id: TaskID, on descriptor: Int32, _ direction: Direction, deadline: Int64 = .max
  ) {
    guard let task = place(of: id), task.pointee.state == .running else { return }
    task.pointee.state = .waiting
    task.pointee.descriptor = descriptor
    task.pointee.direction = direction
    waitingForDescriptor += 1
    descriptors.addWaiter(id, on: descriptor, direction)
    setDeadline(task, id, deadline)
  }

  /// The running task waits until `deadline` has passed (`Int64.max`: for ever) or it is woken.
  public func sleep(_ id: TaskID, until deadline: Int64) {
    guard let task = place(of: id), task.pointee.state == .running else { return }
    task.pointee.state = .waiting
    task.pointee.descriptor = -1
    if deadline != .max { sleeping += 1 }
    setDeadline(task, id, deadline)
  }

  /// Ends the sleep of a task. False when it is not asleep (it waits for a descriptor or in a wait
  /// queue, is ready, runs, or is gone).
  @discardableResult
  public func wake(_ id: TaskID) -> Bool {
    guard let task = place(of: id), task.pointee.state == .waiting, task.pointee.descriptor == -1
    else { return false }
    stopWaiting(task, id)
    enqueue(task, id, .woken)
    return true
  }

  /// Ends whatever the task waits for; it is resumed once more, to be told. False when it does not
  /// wait (it is ready, runs, or is gone).
  @discardableResult
  public func cancel(_ id: TaskID) -> Bool {
    guard let task = place(of: id), task.pointee.state == .waiting else { return false }
    let waitQueue = stopWaiting(task, id)
    enqueue(task, id, .cancelled)
    if let waitQueue { waitQueueObserver?.left(waitQueue) }
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

  /// The same for the tasks that wait to read, without an event.
  public func notify(_ descriptor: Int32) {
    if descriptors.markReadable(descriptor) { wakeWaiters(of: descriptor, .read) }
  }

  /// The time has come to `now`: tasks whose deadline has passed get a turn, in the order of their
  /// deadlines.
  public func expire(_ now: Int64) {
    while let entry = deadlines.popDue(now) {
      guard isCurrent(entry) else {
        deadlines.dropAbandoned()
        continue
      }
      let task = tasks.place(entry.task.index)!
      task.pointee.armed = .max
      guard task.pointee.state == .waiting else { continue }
      let deadline = task.pointee.deadline
      if deadline == entry.time {
        let waitQueue = stopWaiting(task, entry.task)
        enqueue(task, entry.task, .timeout)
        if let waitQueue { waitQueueObserver?.left(waitQueue) }
      } else if deadline != .max {
        arm(task, entry.task, deadline)
      }
    }
  }

  /// When ``expire(_:)`` has to be called next; nil when no task has a deadline. May be earlier
  /// than any deadline that still holds.
  public var nextDeadline: Int64? { deadlines.earliest }

  // MARK: Turns

  /// Gives each task that is ready now one turn. Tasks that become ready meanwhile wait for the
  /// next call, so that descriptors and deadlines are looked at in between.
  @inlinable
  public func runTurns(_ body: (Turn) -> Void) {
    turnsLeft = readyCount
    while turnsLeft > 0 {
      turnsLeft -= 1
      if let turn = beginNextTurn() { body(turn) }
    }
  }

  /// Within a turn of ``runTurns(_:)``: ends it, and begins the next task's, if `accepts` says so
  /// of its place; nil when it does not, or no turn is left.
  @inlinable
  public func takeNextTurn(if accepts: (_ index: Int32) -> Bool) -> Turn? {
    guard turnsLeft > 0, readyCount > 0, accepts(firstReady) else { return nil }
    turnsLeft -= 1
    return beginNextTurn()
  }

  /// The next task whose turn it is; nil when it is gone.
  @usableFromInline
  func beginNextTurn() -> Turn? {
    let index = firstReady
    guard let task = tasks.place(index) else { return nil }
    firstReady = task.pointee.next
    readyCount -= 1
    guard task.pointee.state == .ready else {
      task.pointee.state = .free
      free.append(index)
      return nil
    }
    task.pointee.state = .running
    task.pointee.descriptor = -1
    operationsLeft = Self.operationsPerTurn
    return Turn(
      task: TaskID(index: index, generation: task.pointee.generation), reason: task.pointee.reason)
  }

  /// The place of the task whose turn comes next, -1 when there is none.
  @inlinable
  public var nextReadyIndex: Int32 { readyCount > 0 ? firstReady : -1 }

  /// Counts an operation of the running task. False when it has had its share: it should
  /// ``yield(_:)`` and do the operation in its next turn.
  @inlinable
  public func mayOperate() -> Bool {
    operationsLeft &-= 1
    return operationsLeft >= 0
  }

  /// Starts a turn outside ``runTurns(_:)``.
  public func beginTurn() { operationsLeft = Self.operationsPerTurn }

  // MARK: Inside

  @inlinable
  @inline(__always)
  func place(of id: TaskID) -> UnsafeMutablePointer<Task>? {
    guard let task = tasks.place(id.index), task.pointee.generation == id.generation else {
      return nil
    }
    return task
  }

  @inline(__always)
  func enqueue(_ task: Place, _ id: TaskID, _ reason: WakeReason) {
    task.pointee.state = .ready
    task.pointee.reason = reason
    task.pointee.next = -1
    if readyCount == 0 {
      firstReady = id.index
    } else {
      tasks.place(lastReady)!.pointee.next = id.index
    }
    lastReady = id.index
    readyCount += 1
  }

  @inline(__always)
  func setDeadline(_ task: Place, _ id: TaskID, _ deadline: Int64) {
    task.pointee.deadline = deadline
    if deadline < task.pointee.armed { rearm(task, id, deadline) }
  }

  private func rearm(_ task: Place, _ id: TaskID, _ deadline: Int64) {
    let isSuperseded = task.pointee.armed != .max
    arm(task, id, deadline)
    if isSuperseded { deadlines.abandon(isCurrent: isCurrent) }
  }

  private func arm(_ task: Place, _ id: TaskID, _ deadline: Int64) {
    task.pointee.armed = deadline
    task.pointee.entry = deadlines.insert(deadline, id)
  }

  private func isCurrent(_ entry: Deadlines.Entry) -> Bool {
    place(of: entry.task)?.pointee.entry == entry.number
  }

  /// - Returns: the wait queue that it waited in.
  @discardableResult
  func stopWaiting(_ task: Place, _ id: TaskID) -> WaitQueueID? {
    let descriptor = task.pointee.descriptor
    let waitQueue = WaitQueueID(descriptor: descriptor)
    if descriptor >= 0 {
      waitingForDescriptor -= 1
      descriptors.removeWaiter(id, on: descriptor, task.pointee.direction)
      task.pointee.descriptor = -1
    } else {
      if task.pointee.deadline != .max { sleeping -= 1 }
      if let waitQueue {
        unlink(task, from: waitQueue)
        task.pointee.descriptor = -1
      }
    }
    task.pointee.deadline = .max
    return waitQueue
  }

  /// Gives the tasks that wait for the descriptor a turn.
  @inline(__always)
  func wakeWaiters(of descriptor: Int32, _ direction: Direction) {
    while let id = descriptors.takeFirstWaiter(on: descriptor, direction) {
      guard let task = place(of: id), task.pointee.state == .waiting else { return }
      waitingForDescriptor -= 1
      task.pointee.descriptor = -1
      task.pointee.deadline = .max
      enqueue(task, id, .ready)
    }
  }
}
