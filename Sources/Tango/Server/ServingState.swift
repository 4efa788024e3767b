import RPCRuntime

/// Where a server's connection is in its life, and what it may do. It knows neither channels nor
/// tasks.
///
/// Calls begin in the order in which they come. Those whose functions wait run side by side; their
/// answers keep the order (``order``).
struct ServingState {
  enum Phase {
    /// The handshake, or the program's permission, is to come.
    case opening
    case serving
    /// The peer has gone. The calls that it made before are carried out, and not answered.
    case left
    /// No more calls are taken. The connection closes when the answers have left.
    case ending
  }

  private(set) var phase = Phase.opening
  /// The calls whose answers have not left, because a function runs.
  var order = AnswerOrder()
  /// Calls that may be under way at a time.
  private let mostUnderWay: Int
  /// The next call waits until none is under way.
  private(set) var awaitsAll = false
  /// The connection's turn on the event loop is over. It goes on when other connections have had
  /// theirs.
  private(set) var isGivingWay = false
  /// The channel is handing over what it has read.
  var isReading = false
  /// The channel was told not to read on.
  private var isPaused = false
  /// The last answers are on their way.
  private(set) var isClosing = false
  /// The connection had to end, because it held the most.
  private(set) var isEvicted = false

  /// Bytes of calls that may wait before the channel is told not to read on.
  private static let mostWaiting = 64 << 10
  /// Bytes of answers that may wait for an earlier one before the next call is taken.
  private static let mostHeldBack = 64 << 10

  init(_ concurrency: CallConcurrency = .sideBySide()) { mostUnderWay = concurrency.limit }

  // MARK: Calls

  var takesCalls: Bool { phase == .serving || phase == .left }
  var hasLeft: Bool { phase == .left }

  /// Whether calls are under way.
  ///
  /// A stored property of ``order``: it is read for each call, and a method of another module would
  /// get a copy.
  var isBusy: Bool { order.count > 0 }

  /// Whether the next call can begin now.
  var isReady: Bool { takesCalls && (!isBusy || hasPlace) }

  private var hasPlace: Bool {
    order.count < mostUnderWay && order.bytes <= Self.mostHeldBack && !awaitsAll
  }

  /// The next call has to wait for all that are under way, as a write does.
  ///
  /// - Returns: whether there are any. Otherwise it can begin.
  mutating func awaitAll() -> Bool {
    awaitsAll = isBusy
    return awaitsAll
  }

  /// The function of a call has ended.
  ///
  /// - Parameters:
  ///   - answer: what has to wait; empty when it may leave.
  ///   - leave: gets the answers that waited for this one.
  mutating func end(call: Int, _ answer: [UInt8], leave: ([UInt8]) -> Void) {
    order.end(call, answer, leave: leave)
    if !isBusy { awaitsAll = false }
  }

  /// Whether the peer can still get answers.
  var wantsAnswers: Bool { phase != .left && !isClosing }

  /// Whether nothing is under way that a silent peer may wait for.
  var isIdle: Bool { !isBusy && !isGivingWay }

  // MARK: Turns

  /// The turn is over.
  ///
  /// - Returns: whether the connection has to ask for another turn.
  mutating func giveWay() -> Bool {
    defer { isGivingWay = true }
    return !isGivingWay
  }

  mutating func beginTurn() { isGivingWay = false }

  // MARK: Reading

  /// Decides whether the channel reads on.
  ///
  /// - Parameters:
  ///   - waiting: bytes of calls that were received and are not taken.
  ///   - mustWait: whether the peer has to wait for another reason; asked only when it matters.
  /// - Returns: whether the channel is to read from now on; nil when nothing changes.
  mutating func readsOn(waiting: Int, unless mustWait: @autoclosure () -> Bool) -> Bool? {
    if phase == .left { return nil }
    let isToPause =
      waiting > Self.mostWaiting
      && (!isReady || isGivingWay || mustWait())
    guard isToPause != isPaused else { return nil }
    isPaused = isToPause
    return !isToPause
  }

  // MARK: Answers

  /// What becomes of the answers that were collected.
  enum Answers {
    case keep
    case drop
    case send
    /// Send them, and close the channel when they have left.
    case sendAndClose
  }

  /// - Parameter isEmpty: whether no answers were collected.
  func answers(isEmpty: Bool) -> Answers {
    if phase == .left { return .drop }
    if isClosing { return .keep }
    if phase == .ending, !isBusy { return .sendAndClose }
    return isEmpty ? .keep : .send
  }

  /// The last answers have been given to the channel.
  mutating func close() { isClosing = true }

  // MARK: The ends

  /// - Returns: false when the connection is no longer wanted.
  mutating func open() -> Bool {
    guard phase == .opening else { return false }
    phase = .serving
    return true
  }

  enum Departure {
    case nothing
    /// Carry out the calls that have come.
    case carryOut
    /// Release all.
    case release
  }

  /// The channel has closed.
  mutating func peerLeft() -> Departure {
    switch phase {
    case .opening, .ending: return .release
    case .left: return .nothing
    case .serving:
      phase = .left
      order.dropAnswers()
      // Otherwise its next turn does it.
      return isGivingWay ? .nothing : .carryOut
    }
  }

  enum ShutDown {
    case nothing
    case closeNow
    /// Send the answers, which closes the channel.
    case flush
  }

  /// The server takes no more calls.
  mutating func shutDown() -> ShutDown {
    switch phase {
    case .opening:
      // Nothing was called, and neither a handshake nor the program's permission need ever come.
      phase = .ending
      return .closeNow
    case .serving:
      phase = .ending
      return isBusy ? .nothing : .flush
    case .left, .ending: return .nothing
    }
  }

  /// Takes no more calls.
  ///
  /// - Returns: false when the connection is ending already.
  mutating func end() -> Bool {
    guard phase != .ending else { return false }
    phase = .ending
    return true
  }

  /// The connection has to end, because it holds the most.
  mutating func evict() {
    isEvicted = true
    phase = .ending
    isClosing = true
    order.dropAnswers()
  }
}
