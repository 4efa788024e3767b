/// A number that was read.
@usableFromInline
enum ParsedNumber {
  case integer(Int64)
  case number(Double)
}

/// Reads a decimal: digits, perhaps a point and more digits, perhaps an exponent. Every format that
/// writes numbers as text has these; what else a number may be, and what may follow it, the
/// format's parser knows.
struct DecimalReader {
  /// What is missing at the position.
  enum Failure: Error {
    case digits
    case exponentDigits
  }

  private(set) var position: UnsafeRawPointer
  private let end: UnsafeRawPointer

  /// - Parameter start: the first digit, or the point, behind the sign.
  init(_ start: UnsafeRawPointer, _ end: UnsafeRawPointer) {
    position = start
    self.end = end
  }

  /// An integer if the decimal has neither point nor exponent and fits into 64 bits; else the float
  /// nearest to it.
  mutating func read(isNegative: Bool) throws(Failure) -> ParsedNumber {
    let first = position
    var digits = DecimalDigits()
    takeDigits(into: &digits, afterPoint: false)
    var isFloat = false
    if peek == UInt8(ascii: ".") {
      isFloat = true
      position += 1
      takeDigits(into: &digits, afterPoint: true)
    }
    guard digits.any else { throw .digits }
    if peek | 0x20 == UInt8(ascii: "e") {
      isFloat = true
      position += 1
      digits.exponent += try exponent()
    }
    if !isFloat, let integer = digits.integer(isNegative: isNegative) { return .integer(integer) }
    let magnitude = digits.exactNumber ?? roundedNumber(from: first)
    return .number(isNegative ? -magnitude : magnitude)
  }

  /// The next byte; 0 at the end.
  private var peek: UInt8 { position < end ? position.load(as: UInt8.self) : 0 }

  private mutating func takeDigits(into digits: inout DecimalDigits, afterPoint: Bool) {
    while isDigit(peek) {
      digits.add(peek & 15, afterPoint: afterPoint)
      position += 1
    }
  }

  private mutating func exponent() throws(Failure) -> Int {
    let sign = peek
    if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { position += 1 }
    guard isDigit(peek) else { throw .exponentDigits }
    var value = 0
    while isDigit(peek) {
      // Any exponent this large is out of the range where the exact value of it matters here.
      value = min(value * 10 + Int(peek & 15), 1_000_000_000_000)
      position += 1
    }
    return sign == UInt8(ascii: "-") ? -value : value
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
  func integer(isNegative: Bool) -> Int64? {
    guard exact, exponent == 0 else { return nil }
    if isNegative { return Int64(exactly: -Int128(significand)) }
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
