extension Slice<UnsafeRawBufferPointer> {
  /// The bytes before the first carriage return or newline, all when there is none.
  @inline(__always)
  var upToLineBreak: Self {
    let bytes = UnsafeRawBufferPointer(rebasing: self)
    return prefix(bytes.lineBreakIndex)
  }
}

extension UnsafeRawBufferPointer {
  /// The place of the first carriage return or newline, or the end.
  fileprivate var lineBreakIndex: Int {
    guard let start = baseAddress else { return 0 }
    var index = 0
    while count - index >= 8 {
      let word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      let marked = lineBreaks(word)
      if marked != 0 { return index + marked.trailingZeroBitCount / 8 }
      index += 8
    }
    while index < count, self[index] != 10, self[index] != 13 { index += 1 }
    return index
  }
}

/// A word whose lowest set bit is in the first line break of `word`; the first byte is the low one.
@inline(__always)
private func lineBreaks(_ word: UInt64) -> UInt64 {
  let everyByte: UInt64 = 0x0101_0101_0101_0101
  let returns = word ^ everyByte &* 13
  let newlines = word ^ everyByte &* 10
  // Marks the zero bytes; a borrow may mark bytes behind the first, never one before it.
  return ((returns &- everyByte) & ~returns | (newlines &- everyByte) & ~newlines)
    & 0x8080_8080_8080_8080
}
