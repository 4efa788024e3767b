import MilongaScheduler

/// Who does what among the *workers*, the coroutines that serve a connection.
///
/// At most one worker reads, and at most one writes: it waits until the other side takes more. A
/// worker whose function waits for something has no role (see ``SuspendedCalls``); the others are
/// idle.
struct WorkerRoles {
  /// What a worker does next.
  enum Duty {
    case write
    case read
    /// Sleep until there is something to do.
    case rest
    /// End: enough others are idle.
    case leave
  }

  /// What the reader does.
  enum Reading {
    /// It takes messages, or waits for one.
    case receiving
    /// It runs a function that the other side has called.
    case calling
    /// It sleeps until the other side has read some of what waits for it.
    case paused
    /// It sleeps until there is memory for a large message.
    case withoutRoom
  }

  private(set) var reader: TaskID?
  private(set) var reading = Reading.receiving
  private(set) var writer: TaskID?
  private(set) var isWriterWanted = false
  /// Workers that sleep.
  private(set) var idle: [TaskID] = []
  /// The coroutine with whose end the dispatcher closes the connection. It never leaves.
  var main: TaskID?

  /// Gives the worker its next role.
  mutating func duty(of worker: TaskID) -> Duty {
    if isWriterWanted, writer == nil {
      isWriterWanted = false
      writer = worker
    }
    if writer == worker { return .write }
    if reader == nil { reader = worker }
    if reader == worker { return .read }
    guard idle.count < Self.mostIdle || worker == main else { return .leave }
    idle.append(worker)
    return .rest
  }

  /// A worker that is idle, and is not any more.
  mutating func takeIdle() -> TaskID? { idle.popLast() }

  /// The workers that are idle; none is any more.
  mutating func takeAllIdle() -> [TaskID] {
    defer { idle = [] }
    return idle
  }

  // MARK: The reader

  /// The reader is about to run a function.
  mutating func beginCall() { reading = .calling }

  /// The function that the worker ran is over.
  ///
  /// - Returns: whether the worker is the reader still; otherwise the function had waited for something.
  mutating func endCall(of worker: TaskID) -> Bool {
    guard reader == worker else { return false }
    reading = .receiving
    return true
  }

  /// The reader's turn is over. If it runs a function, that waits for something, and another worker
  /// has to read.
  ///
  /// - Returns: the worker that is not the reader any more, nil when the reader stays.
  mutating func giveUpReading() -> TaskID? {
    guard reading == .calling, let worker = reader else { return nil }
    reading = .receiving
    reader = nil
    return worker
  }

  /// The reader is going to sleep.
  mutating func sleepReading(_ reason: Reading) { reading = reason }

  /// The worker runs again; if it is the reader, it sleeps no more.
  mutating func awake(_ worker: TaskID) {
    if reader == worker, reading != .calling { reading = .receiving }
  }

  /// The reader, if it sleeps and waits for no message.
  var sleepingReader: TaskID? {
    switch reading {
    case .paused, .withoutRoom: reader
    case .receiving, .calling: nil
    }
  }

  // MARK: The writer

  /// Bytes are left that the other side does not take.
  ///
  /// - Returns: whether a worker has to be found for them.
  mutating func wantWriter() -> Bool {
    guard writer == nil, !isWriterWanted else { return false }
    isWriterWanted = true
    return true
  }

  /// All is sent.
  mutating func endWriting() { writer = nil }

  /// Whether the worker writes, or should.
  func shouldWrite(_ worker: TaskID) -> Bool {
    writer == worker || isWriterWanted && writer == nil
  }

  // MARK: Removed workers

  /// A coroutine was removed.
  ///
  /// - Returns: whether the connection cannot be served without it.
  mutating func removed(_ worker: TaskID) -> Bool {
    idle.removeAll { $0 == worker }
    return worker == reader && reading != .calling || worker == writer || worker == main
  }

  /// Workers that are idle at once.
  static let mostIdle = 4
}
