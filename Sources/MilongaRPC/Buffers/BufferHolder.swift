/// A connection that holds memory for its peer.
public protocol BufferHolding: AnyObject {
  /// Ends the connection, for this reason, which is to be logged.
  func endForMemory(_ reason: String)

  /// There is room again: what was not read may be read now. Called on the keeper's thread, perhaps
  /// in the middle of another connection's turn.
  func mayReadAgain()

  /// Tells the keeper anew what is held. Called now and then on connections that ask for it,
  /// because they do not notice when the peer reads.
  func countAgain()
}

extension BufferHolding {
  public func countAgain() {}
}

/// A connection's place among those of its ``BufferKeeper``. The connection keeps it as long as it
/// exists, and takes it away from the keeper before it goes.
public final class BufferHolder {
  unowned let connection: any BufferHolding
  /// ``BufferHolding/countAgain()`` is wanted.
  let asksToCount: Bool
  /// Bytes that the connection's end would free.
  public internal(set) var bytes = 0
  /// Bytes of a call that is being carried out: they stay until that has ended, whatever becomes of
  /// the connection.
  public internal(set) var serving = 0
  /// Its place in the keeper's heap; -1 while it holds nothing.
  var place = -1
  /// It was told to wait, and not yet that it may go on.
  var isPaused = false

  public init(_ connection: any BufferHolding, asksToCount: Bool = false) {
    self.connection = connection
    self.asksToCount = asksToCount
  }

  var total: Int { bytes + serving }
}
