/// Names a line of a ``Scheduler``: tasks that wait, one behind the other, to be admitted.
public struct LineID: Hashable, Sendable, BitwiseCopyable {
  /// The place of the line; given to another line when this one was removed. For tables beside the
  /// scheduler's.
  public let index: Int32

  @inline(__always)
  init(index: Int32) { self.index = index }

  /// What stands for the line where a task keeps its descriptor: below -1, which is for none.
  @inline(__always)
  init?(descriptor: Int32) {
    guard descriptor < -1 else { return nil }
    index = -2 - descriptor
  }

  @inline(__always)
  var descriptor: Int32 { -2 - index }
}

/// Told about the tasks of lines that ``Scheduler/admitFirst(of:)`` knows nothing of.
public protocol LineObserver: AnyObject {
  /// A task left the line without having been admitted: its deadline passed, it was cancelled, or it
  /// is gone.
  func left(_ line: LineID)
  /// A task was admitted, but is gone before its turn came.
  func wasAdmittedInVain(_ task: TaskID, to line: LineID)
}

/// The two ends of a line. Its tasks are linked through their places, so that waiting takes no memory
/// and leaving takes the same time everywhere in the line.
struct Line: BitwiseCopyable {
  var first: Int32 = -1
  var last: Int32 = -1
}

extension Scheduler {
  /// A new, empty line.
  public func makeLine() -> LineID {
    if let index = freeLines.popLast() {
      lines.place(index)!.pointee = Line()
      return LineID(index: index)
    }
    lines.append(Line())
    return LineID(index: Int32(lines.count - 1))
  }

  /// The line is given up: whoever waits in it gets a turn.
  public func removeLine(_ line: LineID) {
    while admitFirst(of: line) != nil {}
    freeLines.append(line.index)
  }

  /// The running task waits at the end of the line until it is admitted or `deadline` has passed
  /// (`Int64.max`: for ever).
  public func wait(_ id: TaskID, in line: LineID, deadline: Int64 = .max) {
    guard let task = place(of: id), task.pointee.state == .running else { return }
    let ends = lines.place(line.index)!
    task.pointee.state = .waiting
    task.pointee.descriptor = line.descriptor
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

  /// The task that has waited longest gets a turn, with the reason `ready`; nil when nobody waits.
  @discardableResult
  public func admitFirst(of line: LineID) -> TaskID? {
    guard let id = first(in: line) else { return nil }
    let task = tasks.place(id.index)!
    stopWaiting(task, id)
    // Until its turn, so that what it was admitted to is not lost if it is gone before.
    task.pointee.descriptor = line.descriptor
    enqueue(task, id, .ready)
    return id
  }

  /// Who has waited longest in the line.
  public func first(in line: LineID) -> TaskID? { id(at: lines.place(line.index)!.pointee.first) }

  /// Who waits behind a task that waits in a line.
  public func next(after id: TaskID) -> TaskID? {
    place(of: id).flatMap { self.id(at: $0.pointee.next) }
  }

  private func id(at index: Int32) -> TaskID? {
    tasks.place(index).map { TaskID(index: index, generation: $0.pointee.generation) }
  }

  /// Takes a waiting task out of its line.
  func unlink(_ task: UnsafeMutablePointer<Task>, from line: LineID) {
    let ends = lines.place(line.index)!
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
