import MilongaScheduler

/// The calls of a client's connection, and its coroutines that wait: one of them reads the answers
/// for all, some wait until a request has room.
///
/// It is a state machine without a socket. Its functions change the state and return what is to be
/// done; a task that is returned has to be woken.
struct ClientCalls<Table: CallTable> {
  var table: Table
  /// The coroutine that reads for all.
  private(set) var reader: TaskID?
  /// Coroutines whose requests wait for room.
  private(set) var waitingForRoom: [TaskID] = []

  init(limit: Int) { table = Table(limit: limit) }

  /// Another number of calls would be too many.
  var isFull: Bool { table.count >= table.limit }
  /// No call awaits its answer.
  var isIdle: Bool { table.count == 0 }
  /// Coroutines wait, so the program cannot wait outside the dispatcher: it could not wake them.
  var isInUse: Bool { reader != nil || !waitingForRoom.isEmpty }

  // MARK: Reading

  /// Whether the coroutine is the reader. It becomes the reader when there is none.
  @inline(__always)
  mutating func reads(_ task: TaskID) -> Bool {
    if let reader { return reader == task }
    reader = task
    return true
  }

  /// Whose answer has come.
  enum Delivery {
    /// The reader's own.
    case own
    /// It is another coroutine's, which reads from now on, and takes the answer.
    case handOver(to: TaskID?)
    case future(TangoFuture)
    /// The call was abandoned, or never made.
    case unwanted
  }

  /// Finds whose answer it is. It stays where it is when it is handed over; otherwise its call has
  /// been removed.
  ///
  /// - Parameter id: the call that the reader waits for.
  @inline(__always)
  mutating func deliver(_ answer: Answer, readerWaitsFor id: Int) -> Delivery {
    guard let call = table.owner(of: answer) else {
      table.take(answer)
      return .unwanted
    }
    switch call.waiter {
    case .future(let future):
      table.take(answer)
      return .future(future)
    case .program, .coroutine:
      guard call.id == id else {
        reader = call.task
        return .handOver(to: reader)
      }
      table.take(answer)
      return .own
    }
  }

  /// The reader has what it waited for, or gives up. The coroutine that the next answer is for
  /// reads on, or else the one that has waited longest. Coroutines that wait for room count, too:
  /// the server may take no more before its answers are read.
  ///
  /// - Parameter next: the answer that has come already.
  @inline(__always)
  mutating func passOn(next: Answer? = nil) -> TaskID? {
    reader = nil
    if let next, let task = table.owner(of: next)?.task {
      reader = task
    } else if let call = table.longestAwaited {
      reader = call.task
    } else if !waitingForRoom.isEmpty {
      reader = waitingForRoom.removeFirst()
    }
    return reader
  }

  // MARK: Room

  /// The coroutine waits until what is to be sent has become less.
  mutating func waitForRoom(_ task: TaskID) { waitingForRoom.append(task) }

  mutating func stopWaitingForRoom(_ task: TaskID?) {
    if !waitingForRoom.isEmpty { waitingForRoom.removeAll { $0 == task } }
  }

  /// There is room: all that wait for it go on.
  mutating func madeRoom() -> [TaskID] {
    defer { waitingForRoom = [] }
    return waitingForRoom
  }

  // MARK: The end

  /// A coroutine is gone. Returns the calls that it leaves, and the coroutine that reads in its
  /// place.
  mutating func removed(_ task: TaskID) -> (calls: [Int], wake: TaskID?) {
    let calls = table.abandonCalls(of: task)
    stopWaitingForRoom(task)
    return (calls, reader == task ? passOn() : nil)
  }

  /// The connection has ended. Returns the calls that are not answered, and the coroutines that
  /// waited for room.
  mutating func ended() -> (calls: [PendingCall], wake: [TaskID]) {
    reader = nil
    return (table.removeAll { _ in false }, madeRoom())
  }
}
