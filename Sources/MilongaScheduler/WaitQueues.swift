/// Names a wait queue of a ``Scheduler``: tasks that wait, one behind the other, to be admitted.
package struct WaitQueueID: Hashable, Sendable, BitwiseCopyable {
  /// The place of the wait queue; given to another wait queue when this one was removed. For tables
  /// beside the scheduler's.
  package let index: Int32

  @inline(__always)
  init(index: Int32) { self.index = index }

  /// What stands for the wait queue where a task keeps its descriptor: below -1, which is for none.
  @inline(__always)
  init?(descriptor: Int32) {
    guard descriptor < -1 else { return nil }
    index = -2 - descriptor
  }

  @inline(__always)
  var descriptor: Int32 { -2 - index }
}

/// Told about the tasks of wait queues that ``Scheduler/admitFirst(of:)`` knows nothing of.
package protocol WaitQueueObserver: AnyObject {
  /// A task left the wait queue without having been admitted: its deadline passed, it was
  /// cancelled, or it is gone.
  func left(_ waitQueue: WaitQueueID)
  /// A task was admitted, but is gone before its turn came.
  func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID)
}

/// The two ends of a wait queue. Its tasks are linked through their places, so that waiting takes
/// no memory and leaving takes the same time everywhere in the wait queue.
struct WaitQueue: BitwiseCopyable {
  var first: Int32 = -1
  var last: Int32 = -1
}

extension Scheduler {
  /// A new, empty wait queue.
  package func makeWaitQueue() -> WaitQueueID {
    if let index = freeWaitQueues.popLast() {
      waitQueues.place(index)!.pointee = WaitQueue()
      return WaitQueueID(index: index)
    }
    waitQueues.append(WaitQueue())
    return WaitQueueID(index: Int32(waitQueues.count - 1))
  }

  /// The wait queue is given up. The tasks that wait in it get a turn.
  package func removeWaitQueue(_ waitQueue: WaitQueueID) {
    while admitFirst(of: waitQueue) != nil {}
    freeWaitQueues.append(waitQueue.index)
  }

  /// The running task waits at the end of the wait queue until it is admitted or `deadline` has
  /// passed (`Int64.max`: for ever).
  package func wait(_ id: TaskID, in waitQueue: WaitQueueID, deadline: Int64 = .max) {
    guard let task = place(of: id), task.pointee.state == .running else { return }
    let ends = waitQueues.place(waitQueue.index)!
    task.pointee.state = .waiting
    task.pointee.descriptor = waitQueue.descriptor
    task.pointee.previous = ends.pointee.last
    task.pointee.next = -1
    if let last = tasks.place(ends.pointee.last) {
      last.pointee.next = id.index
    } else {
      ends.pointee.first = id.index
    }
    ends.pointee.last = id.index
    if deadline != .max { sleeping += 1 }
    setDeadline(task, id, deadline)
  }

  /// The task that has waited longest gets a turn, with the reason `ready`; nil when no task waits.
  @discardableResult
  package func admitFirst(of waitQueue: WaitQueueID) -> TaskID? {
    guard let id = first(in: waitQueue) else { return nil }
    let task = tasks.place(id.index)!
    stopWaiting(task, id)
    // Until its turn, so that what it was admitted to is not lost if it is gone before.
    task.pointee.descriptor = waitQueue.descriptor
    enqueue(task, id, .ready)
    return id
  }

  /// The task that has waited longest in the wait queue.
  package func first(in waitQueue: WaitQueueID) -> TaskID? {
    id(at: waitQueues.place(waitQueue.index)!.pointee.first)
  }

  /// The task behind one that waits in a wait queue.
  package func next(after id: TaskID) -> TaskID? {
    place(of: id).flatMap { self.id(at: $0.pointee.next) }
  }

  private func id(at index: Int32) -> TaskID? {
    tasks.place(index).map { TaskID(index: index, generation: $0.pointee.generation) }
  }

  /// Takes a waiting task out of its wait queue.
  func unlink(_ task: UnsafeMutablePointer<Task>, from waitQueue: WaitQueueID) {
    let ends = waitQueues.place(waitQueue.index)!
    if let previous = tasks.place(task.pointee.previous) {
      previous.pointee.next = task.pointee.next
    } else {
      ends.pointee.first = task.pointee.next
    }
    if let next = tasks.place(task.pointee.next) {
      next.pointee.previous = task.pointee.previous
    } else {
      ends.pointee.last = task.pointee.previous
    }
  }
}
