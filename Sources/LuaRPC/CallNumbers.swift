import DequeModule
import MilongaScheduler

/// Coroutines that want to call while all sequence numbers are in use.
struct CallNumbers {
  private var waiting: Deque<TaskID> = []
  /// Woken, and a number is kept for each of them.
  private var granted: [TaskID] = []

  /// Whether a call that begins now may have a number.
  ///
  /// - Parameter used: numbers of calls that await their answers.
  func hasFree(used: Int, limit: Int) -> Bool {
    waiting.isEmpty && used + granted.count < limit
  }

  /// Takes the number that is kept for the coroutine; false when none is.
  mutating func take(_ task: TaskID) -> Bool {
    guard !granted.isEmpty, let index = granted.firstIndex(of: task) else { return false }
    granted.remove(at: index)
    return true
  }

  /// The coroutine waits for a number, behind all others that do.
  ///
  /// - Parameter isNew: it does not wait yet, as far as its caller knows.
  mutating func wait(_ task: TaskID, isNew: Bool = false) {
    if isNew || !waiting.contains(task) { waiting.append(task) }
  }

  /// Gives free numbers to the coroutines that have waited longest.
  ///
  /// - Parameter wake: wakes a coroutine; false if that is not possible any more.
  mutating func grant(used: Int, limit: Int, _ wake: (TaskID) -> Bool) {
    while !waiting.isEmpty, used + granted.count < limit {
      let task = waiting.removeFirst()
      if wake(task) { granted.append(task) }
    }
  }

  /// A coroutine was removed.
  ///
  /// - Returns: whether it had a number, which is free now.
  mutating func removed(_ task: TaskID) -> Bool {
    waiting.removeAll { $0 == task }
    return take(task)
  }

  /// The connection has ended.
  ///
  /// - Returns: the coroutines that wait.
  mutating func end() -> [TaskID] {
    defer { (waiting, granted) = ([], []) }
    return Array(waiting)
  }
}
