// Finding the bytes of a string that need attention, eight at a time.

@usableFromInline let everyByte: UInt64 = 0x0101_0101_0101_0101
@usableFromInline let everyHighBit: UInt64 = 0x8080_8080_8080_8080

/// The first byte in `first..<end` that is `quote`, a backslash or below 14, or `end`.
///
/// Below 14 are NUL, LF and CR, which matter, and a few that do not: one comparison for all of them
/// is cheaper than three, and the caller looks at the byte anyway.
@inlinable
func firstSpecial(
  _ first: UnsafeRawPointer, _ end: UnsafeRawPointer, quote: UInt8
) -> UnsafeRawPointer {
  let quotes = everyByte &* UInt64(quote)
  var position = first
  while end - position >= 8 {
    let special = specialBytes(position.loadUnaligned(as: UInt64.self), quotes)
    if special != 0 { return position + special.trailingZeroBitCount / 8 }
    position += 8
  }
  if position == end { return end }
  if end - first >= 8 {
    // The last word overlaps bytes already seen, which are known not to be special.
    position = end - 8
    let special = specialBytes(position.loadUnaligned(as: UInt64.self), quotes)
    return special == 0 ? end : position + special.trailingZeroBitCount / 8
  }
  while position < end {
    let byte = position.load(as: UInt8.self)
    if byte == quote || byte == UInt8(ascii: "\\") || byte < 14 { return position }
    position += 1
  }
  return end
}

/// A word whose lowest set bit is in the first special byte of `word` as it lies in memory.
///
/// `(x - 0x01...) & ~x & 0x80...` marks the zero bytes of x; subtracting 14 instead marks those
/// below 14. A borrow may mark bytes after the first match too, never one before it. All three
/// differences have the high bits of `word`, because quote and backslash are ASCII, and share
/// `~word`.
@inlinable
@inline(__always)
func specialBytes(_ word: UInt64, _ quotes: UInt64) -> UInt64 {
  let word = UInt64(littleEndian: word)
  let quote = (word ^ quotes) &- everyByte
  let backslash = (word ^ (everyByte &* UInt64(UInt8(ascii: "\\")))) &- everyByte
  let control = word &- everyByte &* 14
  return (quote | backslash | control) & ~word & everyHighBit
}

/// Whether one of the bytes is `byte`.
@inlinable
func contains(_ byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Bool {
  let pattern = everyByte &* UInt64(byte)
  var offset = 0
  while bytes.count - offset >= 8 {
    let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ pattern
    if (word &- everyByte) & ~word & everyHighBit != 0 { return true }
    offset += 8
  }
  while offset < bytes.count {
    if bytes[offset] == byte { return true }
    offset += 1
  }
  return false
}
