extension TangoTextParser {
  /// Reads a decimal that is a float, or too long to be known for an integer.
  mutating func decimal(negative: Bool) throws(CodecError) -> Scalar {
    let first = position
    var digits = DecimalDigits()
    while isDigit(peek) {
      digits.add(peek & 15, afterPoint: false)
      position += 1
    }
    var isFloat = false
    if skip(UInt8(ascii: ".")) {
      isFloat = true
      while isDigit(peek) {
        digits.add(peek & 15, afterPoint: true)
        position += 1
      }
    }
    guard digits.any else {
      position = first
      throw unexpected(expecting: "a value")
    }
    if peek | 0x20 == UInt8(ascii: "e") {
      isFloat = true
      position += 1
      digits.exponent += try exponent()
    }
    if !isFloat, let integer = digits.integer(negative: negative) { return .integer(integer) }
    let magnitude = digits.exactNumber ?? roundedNumber(from: first)
    return .number(negative ? -magnitude : magnitude)
  }

  private mutating func exponent() throws(CodecError) -> Int {
    let negative = skip(UInt8(ascii: "-"))
    if !negative { _ = skip(UInt8(ascii: "+")) }
    guard isDigit(peek) else { throw unexpected(expecting: "the digits of an exponent") }
    var value = 0
    while isDigit(peek) {
      // Any exponent this large is out of the range where the exact value of it matters here.
      value = min(value * 10 + Int(peek & 15), 1_000_000_000_000)
      position += 1
    }
    return negative ? -value : value
  }

  /// The float nearest to the decimal between `first` and the position.
  private func roundedNumber(from first: UnsafeRawPointer) -> Double {
    let text = UnsafeRawBufferPointer(start: first, count: position - first)
    return Double(String(decoding: text, as: UTF8.self)) ?? .nan
  }
}

/// The digits of a decimal: the first 19 as an integer, and the power of ten to scale it by.
private struct DecimalDigits {
  var significand: UInt64 = 0
  var exponent = 0
  var any = false
  private var kept = 0
  private var exact = true

  mutating func add(_ digit: UInt8, afterPoint: Bool) {
    any = true
    if kept < 19 {
      significand = significand * 10 + UInt64(digit)
      if significand != 0 { kept += 1 }
      if afterPoint { exponent -= 1 }
    } else {
      exact = false
      if !afterPoint { exponent += 1 }
    }
  }

  /// The decimal as an integer, if it has no fraction and is in range.
  func integer(negative: Bool) -> Int64? {
    guard exact, exponent == 0 else { return nil }
    if negative { return Int64(exactly: -Int128(significand)) }
    return Int64(exactly: significand)
  }

  /// The float, if one exactly rounded operation yields it (Clinger 1990): the significand and the
  /// power of ten are both floats without error up to 2^53 and 10^22.
  var exactNumber: Double? {
    guard exact else { return nil }
    if significand == 0 { return 0 }
    guard significand <= 1 << 53, exponent.magnitude <= 22 else { return nil }
    var power = 1.0
    for _ in 0..<exponent.magnitude { power *= 10 }
    return exponent < 0 ? Double(significand) / power : Double(significand) * power
  }
}
