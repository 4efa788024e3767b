/// What encoder and decoder share of quoted-printable (RFC 2045, section 6.7).
enum QuotedPrintable {
  /// Whether a byte may stand for itself everywhere in a line.
  static func isPlain(_ byte: UInt8) -> Bool { 33...126 ~= byte && byte != UInt8(ascii: "=") }

  /// Whether a byte may stand for itself, but not at the end of a line.
  @inline(__always)
  static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

  static let space = UInt8(ascii: " ")
  static let tab = UInt8(ascii: "\t")
  static let carriageReturn = UInt8(ascii: "\r")
  static let newline = UInt8(ascii: "\n")
  static let escape = UInt8(ascii: "=")

  /// A word whose lowest set bit is in the first byte of `word` that is neither plain nor a space;
  /// the first byte is the low one.
  @inline(__always)
  static func specialBytes(_ word: UInt64) -> UInt64 {
    let everyByte: UInt64 = 0x0101_0101_0101_0101
    let escapes = word ^ everyByte &* UInt64(escape)
    // A byte's high bit is set, in this order, from 128 on; at 127; below 32; in a zero byte.
    // Carries and borrows only reach bytes behind one that is marked.
    let marked =
      word | (word &+ everyByte) | (word &- everyByte &* 32)
      | ((escapes &- everyByte) & ~escapes)
    return marked & 0x8080_8080_8080_8080
  }
}
