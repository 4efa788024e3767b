/// The calls of one connection whose functions run as tasks.
package struct RunningCalls {
  private struct Call {
    let task: Task<Void, Never>
    /// Bytes of its message, when it is large.
    var bytes = 0
  }

  private var calls: [Int: Call] = [:]
  /// The number of the call that has begun last.
  package private(set) var last = 0
  /// Bytes of large messages whose functions run. They stay until these have ended, whatever
  /// becomes of the connection.
  package private(set) var bytes = 0

  package init() {}

  package var count: Int { calls.count }
  package var isEmpty: Bool { calls.isEmpty }

  /// - Parameter start: starts the call's task; gets the call's number, for ``end(_:)``.
  package mutating func begin(_ start: (Int) -> Task<Void, Never>) {
    last += 1
    calls[last] = Call(task: start(last))
  }

  /// The call that has begun last was this large.
  package mutating func noteSize(_ size: Int) {
    calls[last]?.bytes = size
    bytes += size
  }

  /// - Returns: the bytes that its message had, if it was large.
  @discardableResult
  package mutating func end(_ number: Int) -> Int {
    let size = calls.removeValue(forKey: number)?.bytes ?? 0
    bytes -= size
    return size
  }

  /// Cancels the tasks. They still have to end.
  package func cancelAll() { for call in calls.values { call.task.cancel() } }

  /// Cancels the task that was begun last.
  package func cancelLast() { calls[last]?.task.cancel() }
}
