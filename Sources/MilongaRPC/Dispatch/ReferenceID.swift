/// Names a remote object: 128 random bits, written as 32 hexadecimal digits.
///
/// The original uses `tostring(object)`, an address that a peer can guess.
public struct ReferenceID: Sendable, Hashable {
  @usableFromInline let high: UInt64
  @usableFromInline let low: UInt64

  /// An id from the system's source of secure random numbers.
  public init() {
    var generator = SystemRandomNumberGenerator()
    high = generator.next()
    low = generator.next()
  }

  /// The id written as `hex`, in lower case, or nil if that is not an id.
  public init?(hex: UnsafeRawBufferPointer) {
    guard hex.count == 32, let high = Self.word(hex[..<16]), let low = Self.word(hex[16...])
    else { return nil }
    self.high = high
    self.low = low
  }

  private static func word(_ hex: Slice<UnsafeRawBufferPointer>) -> UInt64? {
    var word: UInt64 = 0
    for byte in hex {
      guard let digit = hexDigit(byte), !(UInt8(ascii: "A")...UInt8(ascii: "F") ~= byte)
      else { return nil }
      word = word << 4 | UInt64(digit)
    }
    return word
  }

  /// Gives `body` the 32 digits of the id, valid only during the call.
  public func withHex<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { room in
      for index in 0..<32 {
        let word = index < 16 ? high : low
        let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - index % 16 * 4)) & 15
        room[index] = digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
      }
      return body(UnsafeRawBufferPointer(room))
    }
  }
}

extension ReferenceID {
  /// Whether two ids are the same.
  @inlinable
  public static func == (a: ReferenceID, b: ReferenceID) -> Bool {
    a.high == b.high && a.low == b.low
  }

  /// Hashes half of the id, which is random enough: no peer chooses what is in a table.
  @inlinable public func hash(into hasher: inout Hasher) { hasher.combine(low) }
}

extension ReferenceID: CustomStringConvertible {
  /// The 32 digits.
  public var description: String { withHex { String(decoding: $0, as: UTF8.self) } }
}
