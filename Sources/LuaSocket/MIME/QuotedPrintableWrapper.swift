/// Breaks quoted-printable text into lines of limited length, with soft line breaks: `=` and CRLF.
package struct QuotedPrintableWrapper {
  /// How many bytes the line in work has room for.
  package private(set) var left: Int
  private let length: Int

  /// - Parameters:
  ///   - left: how many bytes the first line has room for.
  ///   - length: how many bytes the others have room for, the `=` at the end of a line included.
  package init(left: Int, length: Int) {
    self.left = left
    self.length = length
  }

  /// Writes the text that follows.
  package mutating func wrap(
    _ text: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) {
    guard var source = text.baseAddress else { return }
    let end = source + text.count
    while source < end {
      // At worst each byte comes with a soft line break.
      let blockEnd = source + min(1024, end - source)
      var target = try output.reserve(4 * (blockEnd - source))
      wrap(&source, blockEnd, &target)
      output.wrote(upTo: target)
    }
  }

  private mutating func wrap(
    _ source: inout UnsafeRawPointer, _ end: UnsafeRawPointer,
    _ target: inout UnsafeMutableRawPointer
  ) {
    var left = left
    defer { self.left = left }
    while source < end {
      if left > 8, end - source >= 8 {
        let word = source.loadUnaligned(as: UInt64.self)
        target.storeBytes(of: word, as: UInt64.self)
        let special = QuotedPrintable.specialBytes(UInt64(littleEndian: word))
        let clean = special == 0 ? 8 : special.trailingZeroBitCount / 8
        source += clean
        target += clean
        left -= clean
        if special == 0 { continue }
      }
      // Where one byte is special others often are.
      let stop = source + min(8, end - source)
      while source < stop {
        put(source.load(as: UInt8.self), &target, &left)
        source += 1
      }
    }
  }

  @inline(__always)
  private func put(
    _ byte: UInt8, _ target: inout UnsafeMutableRawPointer, _ left: inout Int
  ) {
    switch byte {
    case QuotedPrintable.carriageReturn: break
    case QuotedPrintable.newline:
      left = length
      store("\r\n", to: &target)
    default:
      // `=XX` stays together, and the soft line break needs room.
      if left <= (byte == QuotedPrintable.escape ? 3 : 1) {
        left = length
        store("=\r\n", to: &target)
      }
      target.storeBytes(of: byte, as: UInt8.self)
      target += 1
      left -= 1
    }
  }

  @inline(__always)
  private func store(_ text: StaticString, to target: inout UnsafeMutableRawPointer) {
    target.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    target += text.utf8CodeUnitCount
  }
}
