extension OutputBuffer {
  /// Appends one byte.
  @inlinable
  public mutating func append(_ byte: UInt8) {
    guard reserve(1) else { return }
    base.unsafelyUnwrapped.storeBytes(of: byte, toByteOffset: tail, as: UInt8.self)
    tail &+= 1
  }

  /// Appends bytes, which must not lie in this buffer.
  @inlinable
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    // Nothing needs no memory, of which there may be none.
    guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
    append(start, bytes.count)
  }

  /// Appends the UTF-8 bytes of a literal.
  ///
  /// It is always inlined, because then its length is known and a few stores replace a copy.
  @inlinable
  @inline(__always)
  public mutating func append(_ literal: StaticString) {
    append(UnsafeRawPointer(literal.utf8Start), literal.utf8CodeUnitCount)
  }

  /// Appends bytes, which must not lie in this buffer.
  @inlinable
  mutating func append(_ start: UnsafeRawPointer, _ count: Int) {
    guard reserve(count) else { return }
    (base.unsafelyUnwrapped + tail).copyMemory(from: start, byteCount: count)
    tail &+= count
  }

  /// Appends a byte and an integer in big endian byte order.
  @inlinable
  @inline(__always)
  mutating func append<Number: FixedWidthInteger>(_ tag: UInt8, _ number: Number) {
    guard reserve(1 + MemoryLayout<Number>.size) else { return }
    let place = base.unsafelyUnwrapped + tail
    place.storeBytes(of: tag, as: UInt8.self)
    (place + 1).storeBytes(of: number.bigEndian, as: Number.self)
    tail &+= 1 + MemoryLayout<Number>.size
  }

  /// Appends an integer in big endian byte order.
  @inlinable
  public mutating func append<Number: FixedWidthInteger>(bigEndian number: Number) {
    guard reserve(MemoryLayout<Number>.size) else { return }
    (base.unsafelyUnwrapped + tail).storeBytes(of: number.bigEndian, as: Number.self)
    tail &+= MemoryLayout<Number>.size
  }

  /// Appends an integer in decimal digits.
  @inlinable
  public mutating func append(decimal value: Int64) {
    if value < 0 { append(UInt8(ascii: "-")) }
    append(decimal: value.magnitude)
  }

  /// Appends an unsigned integer in decimal digits.
  @inlinable
  public mutating func append(decimal value: UInt64) {
    let digits = decimalDigits(value)
    guard reserve(digits) else { return }
    tail &+= digits
    writeDigits(value, endingAt: base.unsafelyUnwrapped + tail)
  }
}

/// How many digits `value` has in decimal.
@inlinable
func decimalDigits(_ value: UInt64) -> Int {
  var digits = 1
  var bound: UInt64 = 10
  while value >= bound {
    digits &+= 1
    // 10^20 does not fit, and no value has more than 20 digits.
    if digits == 20 { break }
    bound &*= 10
  }
  return digits
}

/// Writes the decimal digits of `value` right-aligned in front of `end`, and returns where they
/// start.
@inlinable
@discardableResult
func writeDigits(
  _ value: UInt64, endingAt end: UnsafeMutableRawPointer
) -> UnsafeMutableRawPointer {
  var rest = value
  var position = end
  repeat {
    let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
    position -= 1
    position.storeBytes(of: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: digit), as: UInt8.self)
    rest = quotient
  } while rest != 0
  return position
}
