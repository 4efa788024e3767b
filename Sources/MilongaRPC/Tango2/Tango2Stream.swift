/// Credit: how much of a stream may be on its way. Both ends reckon with the same numbers.
///
/// A stream begins with the receiver's window (``Tango2Settings/window``). A frame of items costs
/// the size of its payload, but not more than ``most``; it may be sent when that much is left. The
/// receiver gives back what it has consumed when that is ``most`` or more. So credit never becomes
/// negative, and a sender that has to wait gets some: at least as much is on its way then, or
/// consumed.
public enum Tango2Stream {
  /// Bytes that a stream begins with at least.
  public static let leastWindow: UInt32 = 64 << 10

  /// What a frame costs at most, and what the receiver gives back at least, in bytes: half of the
  /// smallest window.
  public static let most = leastWindow / 2

  /// What a frame of items with so many bytes of payload costs.
  @inlinable
  public static func cost(_ payloadBytes: Int) -> UInt32 {
    UInt32(min(payloadBytes, Int(most)))
  }
}

/// A stream that leaves.
@usableFromInline
struct Tango2Sending: Sendable {
  @usableFromInline var credit: UInt32

  @inlinable init(window: UInt32) { credit = window }

  /// Takes what a frame costs from the credit; false, with nothing changed, when it has to wait.
  @inlinable
  mutating func send(_ payloadBytes: Int) -> Bool {
    let cost = Tango2Stream.cost(payloadBytes)
    guard credit >= cost else { return false }
    credit -= cost
    return true
  }

  /// The receiver gives credit; false when that is none, or too much.
  @inlinable
  mutating func take(_ bytes: UInt32) -> Bool {
    let (sum, isTooMuch) = credit.addingReportingOverflow(bytes)
    guard bytes > 0, !isTooMuch else { return false }
    credit = sum
    return true
  }
}

/// A stream that arrives.
@usableFromInline
struct Tango2Receiving: Sendable {
  /// What may still come.
  @usableFromInline var left: UInt32
  /// What was consumed, and has not been given back.
  @usableFromInline var consumed: UInt32 = 0
  /// This end wants no more of it.
  @usableFromInline var isStopped = false

  @inlinable init(window: UInt32) { left = window }

  /// Items have come; false when they are more than there was credit for.
  @inlinable
  mutating func receive(_ payloadBytes: Int) -> Bool {
    let cost = Tango2Stream.cost(payloadBytes)
    guard left >= cost else { return false }
    left -= cost
    return true
  }

  /// The items of a frame were consumed.
  ///
  /// - Returns: credit to give; nil while it is too little to be worth a frame.
  @inlinable
  mutating func consume(_ payloadBytes: Int) -> UInt32? {
    consumed += Tango2Stream.cost(payloadBytes)
    guard consumed >= Tango2Stream.most else { return nil }
    defer { consumed = 0 }
    left += consumed
    return consumed
  }
}
