extension TangoTextParser {
  /// number = ["-"] (unsigned | "(" ["-"] unsigned ")")
  @usableFromInline
  mutating func number() throws(CodecError) -> Scalar {
    let negative = skip(UInt8(ascii: "-"))
    if negative { skipSpace() }
    guard skip(UInt8(ascii: "(")) else { return try unsigned(negative: negative) }
    skipSpace()
    let negativeInside = skip(UInt8(ascii: "-"))
    if negativeInside { skipSpace() }
    let number = try unsigned(negative: negativeInside != negative)
    skipSpace()
    guard skip(UInt8(ascii: ")")) else { throw unexpected(expecting: "')'") }
    return number
  }

  /// Whether `byte` can only start a number.
  @inlinable
  func isNumberStart(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
      || byte == UInt8(ascii: "(")
  }

  /// unsigned = digits, possibly of a float or hexadecimal | "0/0" | "1/0" | "inf" | "nan"
  private mutating func unsigned(negative: Bool) throws(CodecError) -> Scalar {
    let first = position
    var magnitude: UInt64 = 0
    while isDigit(peek) {
      magnitude = magnitude &* 10 &+ UInt64(peek & 15)
      position += 1
    }
    switch (position - first, peek) {
    case (1...18, let next) where !continuesNumber(next):
      return try divided(negative ? -Int64(magnitude) : Int64(magnitude), negative)
    case (1, UInt8(ascii: "x")), (1, UInt8(ascii: "X")):
      if magnitude == 0 { return try hexadecimal(negative: negative) }
    case (0, let next) where isNameStart(next):
      return try wordNumber(negative: negative)
    default: break
    }
    position = first
    return try decimal(negative: negative)
  }

  private func continuesNumber(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
      || byte | 0x20 == UInt8(ascii: "x")
  }

  /// Reads the rest of `0/0` and `1/0`, by which Lua programs write what has no literal.
  private mutating func divided(_ value: Int64, _ negative: Bool) throws(CodecError) -> Scalar {
    skipSpace()
    guard peek == UInt8(ascii: "/") else { return .integer(value) }
    let place = position
    position += 1
    skipSpace()
    guard value.magnitude < 2, skip(UInt8(ascii: "0")), !isNamePart(peek), !continuesNumber(peek)
    else { throw unexpected(at: place, expecting: "no division other than 0/0 and 1/0") }
    if value == 0 { return .number(.nan) }
    return .number(negative ? -.infinity : .infinity)
  }

  /// `inf` and `nan`, as C's printf writes them.
  private mutating func wordNumber(negative: Bool) throws(CodecError) -> Scalar {
    let place = position
    let word = word()
    if word.isEqual(to: "inf") { return .number(negative ? -.infinity : .infinity) }
    if word.isEqual(to: "nan") { return .number(.nan) }
    throw unexpected(at: place, expecting: "a value")
  }

  /// Reads the rest of a hexadecimal integer; like Lua 5.4, it wraps around beyond 64 bits.
  private mutating func hexadecimal(negative: Bool) throws(CodecError) -> Scalar {
    position += 1
    let first = position
    var bits: UInt64 = 0
    while let digit = hexDigit(peek) {
      bits = bits &<< 4 | UInt64(digit)
      position += 1
    }
    if position == first { throw unexpected(expecting: "a hexadecimal digit") }
    let value = Int64(bitPattern: bits)
    return .integer(negative ? 0 &- value : value)
  }
}

/// The value of a hexadecimal digit, or nil for another byte.
@inlinable
func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
  default: nil
  }
}
