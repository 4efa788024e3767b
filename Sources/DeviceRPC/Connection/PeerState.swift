/// Where a connection is in its life, and what it may do. It knows neither channels nor tasks.
struct PeerState {
  enum Phase {
    /// The handshake, or the program's permission, is to come.
    case opening
    case serving
    /// No more calls are taken. The connection closes when those that run have been answered.
    case finishing
    case ended
  }

  private(set) var phase = Phase.opening
  /// The channel is handing over what it has read.
  var isReading = false
  /// The connection's turn on the event loop is over. It goes on when other connections have had
  /// theirs.
  private(set) var isGivingWay = false
  /// The other side has gone.
  private(set) var isGone = false
  /// The channel has asked for a read, and was refused.
  private(set) var owesRead = false
  /// The connection had to end, because it held the most.
  private(set) var isEvicted = false

  /// Bytes that may be received before the connection can handle them.
  private static let mostReceived = 64 << 10

  /// Whether messages are handled.
  var handlesMessages: Bool { phase == .serving || phase == .finishing }

  /// The other side has gone, but calls that it has made are still to be carried out.
  var carriesOutRest: Bool { isGone && isGivingWay }

  // MARK: Turns

  mutating func giveWay() { isGivingWay = true }

  mutating func beginTurn() { isGivingWay = false }

  // MARK: Reading

  /// Whether messages have to wait. A peer that does not read its answers has to wait with its
  /// calls. But when this side awaits answers of the peer, both would wait for ever.
  ///
  /// - Parameter received: bytes that were received and not handled.
  func isHeld(
    received: Int, isWritable: Bool, awaitsAnswers: @autoclosure () -> Bool
  ) -> Bool {
    if phase == .opening || isGivingWay { return received > Self.mostReceived }
    return !isWritable && !awaitsAnswers()
  }

  /// The channel asks whether it may read.
  mutating func reads(unless mustWait: Bool) -> Bool {
    if mustWait { owesRead = true }
    return !mustWait
  }

  /// Whether the channel has to read now what it was refused before.
  mutating func makesUpRead(unless mustWait: Bool) -> Bool {
    guard owesRead, !mustWait else { return false }
    owesRead = false
    return true
  }

  // MARK: The ends

  /// - Returns: false when the connection is no longer wanted.
  mutating func open() -> Bool {
    guard phase == .opening else { return false }
    phase = .serving
    return true
  }

  enum ShutDown {
    case nothing
    case end
    /// Close when the functions that run have been answered.
    case finish
  }

  /// No more calls are to be taken.
  mutating func shutDown() -> ShutDown {
    switch phase {
    case .opening: return .end
    case .serving:
      phase = .finishing
      return .finish
    case .finishing, .ended: return .nothing
    }
  }

  /// The other side has gone.
  ///
  /// - Returns: whether the connection ends at once. Otherwise it carries out the calls that have
  ///   come.
  mutating func leave() -> Bool {
    isGone = true
    return !isGivingWay
  }

  /// The connection ends.
  ///
  /// - Returns: false when it has ended already.
  mutating func end() -> Bool {
    guard phase != .ended else { return false }
    phase = .ended
    return true
  }

  /// The connection has to end, because it holds the most.
  mutating func evict() { isEvicted = true }
}
