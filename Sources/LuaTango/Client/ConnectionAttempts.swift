import MilongaIO
import MilongaScheduler

/// The attempts to make a client's connection: one coroutine makes it, others wait for it. After a
/// failure there is a pause, which becomes longer with each one.
///
/// It is a state machine without a socket and without a clock. Its functions change the state and
/// return what is to be done; tasks that are returned have to be woken.
struct ConnectionAttempts {
  struct Attempt {
    /// The coroutine that makes the connection; nil for the program itself.
    let maker: TaskID?
    /// How many values were on the stack before it began; then comes the socket.
    let base: Int
    let deadline: Int64
    /// It is that of `connect`, which is not repeated.
    let isFirst: Bool
  }

  private(set) var current: Attempt?
  /// Coroutines that wait for the attempt of another one.
  private var waiting: [TaskID] = []
  /// Seconds to wait before the next attempt.
  private var pause = shortestPause

  /// A coroutine makes the connection at the moment.
  var isMadeByCoroutine: Bool { current?.maker != nil }

  enum Joining {
    /// There is no attempt: the caller makes one.
    case make
    /// The caller waits until it is woken.
    case wait
    /// The program itself cannot wait for a coroutine.
    case refused
  }

  /// A call needs a connection.
  mutating func join(_ task: TaskID?) -> Joining {
    guard current != nil else { return .make }
    guard let task else { return .refused }
    waiting.append(task)
    return .wait
  }

  /// The task waits no more.
  mutating func leave(_ task: TaskID?) { waiting.removeAll { $0 == task } }

  mutating func begin(_ attempt: Attempt) { current = attempt }

  /// The connection is there.
  mutating func succeeded() -> [TaskID] {
    pause = shortestPause
    return end()
  }

  /// There will be no connection.
  mutating func end() -> [TaskID] {
    current = nil
    defer { waiting = [] }
    return waiting
  }

  /// The connection could not be made. Returns when to try again; nil when that is not wanted, or
  /// takes too long.
  ///
  /// - Parameter part: how much of the pause to wait, from 0.5 to 1. Clients that have lost the
  ///   same server are not to come back all at once.
  mutating func failed(_ now: Int64, part: Double) -> Int64? {
    guard let current, !current.isFirst else { return nil }
    let next = MonotonicTime.deadline(after: pause * part, from: now)
    pause = min(2 * pause, longestPause)
    // A long pause is cut short, so that the last attempt comes just before the deadline.
    let last = current.deadline - lastAttempt
    if next > last, now < last { return last }
    return next < current.deadline ? next : nil
  }

  /// A coroutine was removed while it waited. Returns nil, unless it made the connection.
  mutating func removed(_ task: TaskID) -> [TaskID]? {
    waiting.removeAll { $0 == task }
    guard let current, current.maker == task else { return nil }
    return end()
  }
}

/// Seconds before the second attempt to connect.
private let shortestPause = 0.05
/// Seconds between attempts at most.
private let longestPause = 5.0
/// Nanoseconds that the last attempt has.
private let lastAttempt: Int64 = 100_000_000
