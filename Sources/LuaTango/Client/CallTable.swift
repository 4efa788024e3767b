import MilongaRPC
import MilongaScheduler

/// A call whose answer is to come.
struct PendingCall {
  /// The number of the call on its connection; the first call has number 1.
  let id: Int
  let waiter: Waiter

  /// Who gets the answer.
  enum Waiter {
    /// The program waits, outside the dispatcher.
    case program
    case coroutine(TaskID)
    /// The answer is kept until the program asks for it.
    case future(TangoFuture)
  }

  /// The coroutine that the answer lets go on; nil when none waits.
  @inline(__always)
  var task: TaskID? {
    switch waiter {
    case .program: nil
    case .coroutine(let task): task
    case .future(let future): future.waiters.first
    }
  }

  /// The program or a coroutine waits for the answer.
  var isAwaited: Bool {
    switch waiter {
    case .program, .coroutine: true
    case .future(let future): !future.waiters.isEmpty
    }
  }
}

/// An answer that a transport has received.
struct Answer {
  /// The call that it answers; 0 when the transport keeps the order, and it answers the oldest
  /// call.
  let id: Int
  /// Bytes in front of the message.
  let headerBytes: Int
  /// Bytes of the message.
  let bodyBytes: Int
}

/// The calls of a connection whose answers are to come. It has no clock: deadlines are nanoseconds
/// of the caller's clock.
protocol CallTable {
  /// - Parameter limit: how many calls may await their answers.
  init(limit: Int)

  var limit: Int { get }
  /// How many calls keep others out, up to ``limit``.
  var count: Int { get }

  /// Adds a call and returns its number.
  mutating func add(_ waiter: PendingCall.Waiter) -> Int
  /// The program's calls leave room for one whose answer is dropped.
  var hasRoomForUnawaited: Bool { get }
  /// Adds a call whose answer is dropped, and returns its number.
  mutating func addUnawaited() -> Int
  /// The call has been added, and its answer has not been taken.
  func contains(_ id: Int) -> Bool
  /// The call that the answer belongs to; nil when it was abandoned, or never made.
  func owner(of answer: Answer) -> PendingCall?
  /// Removes the call that the answer belongs to.
  mutating func take(_ answer: Answer)
  /// The call that has waited longest, or about so, among those that the program or a coroutine
  /// waits for.
  var longestAwaited: PendingCall? { get }
  /// Drops the answer to a call when it comes.
  mutating func abandon(_ id: Int) -> PendingCall?
  /// The coroutine is gone: drops the answers to its calls. Returns the numbers of the calls.
  mutating func abandonCalls(of task: TaskID) -> [Int]
  /// Drops the answers to futures whose deadline has passed, if such calls keep others out. Returns
  /// these calls.
  mutating func abandonOverdue(_ now: Int64) -> [PendingCall]
  /// Removes all calls whose answers do not come, and returns them.
  mutating func removeAll(but isKept: (Int) -> Bool) -> [PendingCall]
}

/// The calls of a connection that answers them in their order, such as a stream. A call that was
/// abandoned keeps its place: its answer comes all the same.
struct OrderedCalls: CallTable {
  private var calls: CallsInFlight<PendingCall>
  private var lastID = 0

  init(limit: Int) { calls = CallsInFlight(limit: limit) }

  var limit: Int { calls.limit }
  var count: Int { calls.count }

  @inline(__always)
  mutating func add(_ waiter: PendingCall.Waiter) -> Int {
    lastID += 1
    _ = calls.add(PendingCall(id: lastID, waiter: waiter))
    return lastID
  }

  // Half of the room is the program's.
  var hasRoomForUnawaited: Bool { calls.count < calls.limit / 2 }

  mutating func addUnawaited() -> Int {
    lastID += 1
    if let place = calls.add(PendingCall(id: lastID, waiter: .program)) { _ = calls.abandon(place) }
    return lastID
  }

  @inline(__always)
  func contains(_ id: Int) -> Bool { id > lastID - calls.count }

  @inline(__always)
  func owner(of answer: Answer) -> PendingCall? { calls.oldest }

  @inline(__always)
  mutating func take(_ answer: Answer) { _ = calls.next() }

  @inline(__always)
  var longestAwaited: PendingCall? { calls.first { $0.isAwaited } }

  mutating func abandon(_ id: Int) -> PendingCall? {
    var found: PendingCall?
    calls.abandon {
      guard $0.id == id else { return false }
      found = $0
      return true
    }
    return found
  }

  mutating func abandonCalls(of task: TaskID) -> [Int] {
    var ids: [Int] = []
    calls.abandon {
      switch $0.waiter {
      case .program: return false
      case .coroutine(let waiting):
        guard waiting == task else { return false }
        ids.append($0.id)
        return true
      case .future(let future):
        future.waiters.removeAll { $0 == task }
        return false
      }
    }
    return ids
  }

  // Their answers come, and so do those behind them.
  mutating func abandonOverdue(_ now: Int64) -> [PendingCall] { [] }

  // The connection has ended. No call is kept.
  mutating func removeAll(but isKept: (Int) -> Bool) -> [PendingCall] { calls.failAll() }
}

/// The calls of a connection whose answers name them, and come in any order or not at all, such as
/// with ZeroMQ. A call that was abandoned counts no more.
struct CallsByNumber: CallTable {
  let limit: Int
  private var calls: [Int: PendingCall] = [:]
  private var lastID = 0
  /// No future's deadline passes before.
  private var nextExpiry = Int64.max

  init(limit: Int) { self.limit = limit }

  var count: Int { calls.count }

  mutating func add(_ waiter: PendingCall.Waiter) -> Int {
    lastID += 1
    if case .future(let future) = waiter { nextExpiry = min(nextExpiry, future.deadline) }
    calls[lastID] = PendingCall(id: lastID, waiter: waiter)
    return lastID
  }

  var hasRoomForUnawaited: Bool { true }

  mutating func addUnawaited() -> Int {
    lastID += 1
    return lastID
  }

  func contains(_ id: Int) -> Bool { calls[id] != nil }

  func owner(of answer: Answer) -> PendingCall? { calls[answer.id] }

  mutating func take(_ answer: Answer) { calls[answer.id] = nil }

  var longestAwaited: PendingCall? { calls.values.first { $0.isAwaited } }

  mutating func abandon(_ id: Int) -> PendingCall? { calls.removeValue(forKey: id) }

  mutating func abandonCalls(of task: TaskID) -> [Int] {
    var ids: [Int] = []
    for (id, call) in calls {
      switch call.waiter {
      case .program: continue
      case .coroutine(let waiting): if waiting == task { ids.append(id) }
      case .future(let future): future.waiters.removeAll { $0 == task }
      }
    }
    for id in ids { calls[id] = nil }
    return ids
  }

  mutating func abandonOverdue(_ now: Int64) -> [PendingCall] {
    guard now >= nextExpiry else { return [] }
    nextExpiry = .max
    var overdue: [PendingCall] = []
    for call in calls.values {
      guard case .future(let future) = call.waiter else { continue }
      if future.deadline <= now {
        overdue.append(call)
      } else {
        nextExpiry = min(nextExpiry, future.deadline)
      }
    }
    for call in overdue { calls[call.id] = nil }
    return overdue
  }

  mutating func removeAll(but isKept: (Int) -> Bool) -> [PendingCall] {
    let lost = calls.values.filter { !isKept($0.id) }
    for call in lost { calls[call.id] = nil }
    return lost
  }
}
