/// Quoted-printable text (RFC 2045, section 6.7) becomes the bytes it stands for.
///
/// As in LuaSocket, `=` without two hexadecimal digits stays with the two bytes behind it, a
/// carriage return without a newline goes with the byte behind it, and other bytes that do not
/// belong into such a text go.
package struct QuotedPrintableDecoder: PrefixCodec {
  package internal(set) var held = HeldBytes()

  package init() {}

  func translatePrefix(
    of bytes: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) -> Int {
    guard let first = bytes.baseAddress else { return 0 }
    let end = first + bytes.count
    var source = first
    var target = try output.reserve(bytes.count)
    decoding: while source < end {
      if end - source >= 8 {
        let word = UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
        target.storeBytes(of: word.littleEndian, as: UInt64.self)
        let special = QuotedPrintable.specialBytes(word)
        let clean = special == 0 ? 8 : special.trailingZeroBitCount / 8
        source += clean
        target += clean
        if special == 0 { continue }
      }
      // Escapes come in groups.
      repeat {
        guard Self.decodeOne(&source, end, &target) else { break decoding }
      } while source < end && source.load(as: UInt8.self) == QuotedPrintable.escape
    }
    output.wrote(upTo: target)
    return source - first
  }

  /// What is not complete at the end of the text goes.
  package mutating func finish(into output: inout MIMEOutput) { held = HeldBytes() }

  /// Decodes one byte or one sequence; false when the end of it has not come yet.
  @inline(__always)
  private static func decodeOne(
    _ source: inout UnsafeRawPointer, _ end: UnsafeRawPointer,
    _ target: inout UnsafeMutableRawPointer
  ) -> Bool {
    let byte = source.load(as: UInt8.self)
    switch byte {
    case QuotedPrintable.escape:
      guard end - source >= 3 else { return false }
      decodeEscape(source, &target)
      source += 3
    case QuotedPrintable.carriageReturn:
      guard end - source >= 2 else { return false }
      if source.load(fromByteOffset: 1, as: UInt8.self) == QuotedPrintable.newline {
        target.copyMemory(from: source, byteCount: 2)
        target += 2
      }
      source += 2
    default:
      target.storeBytes(of: byte, as: UInt8.self)
      if byte == QuotedPrintable.tab || 32...126 ~= byte { target += 1 }
      source += 1
    }
    return true
  }

  @inline(__always)
  private static func decodeEscape(
    _ source: UnsafeRawPointer, _ target: inout UnsafeMutableRawPointer
  ) {
    let first = source.load(fromByteOffset: 1, as: UInt8.self)
    let second = source.load(fromByteOffset: 2, as: UInt8.self)
    if first == QuotedPrintable.carriageReturn, second == QuotedPrintable.newline { return }
    let high = QuotedPrintable.digits[first]
    let low = QuotedPrintable.digits[second]
    if high | low < 16 {
      target.storeBytes(of: high << 4 | low, as: UInt8.self)
      target += 1
    } else {
      target.copyMemory(from: source, byteCount: 3)
      target += 3
    }
  }
}

extension QuotedPrintable {
  /// The values of hexadecimal digits, of either case; 255 for other bytes.
  static let digits = LookupTable<UInt8>(count: 256) { index in
    switch UInt8(index) {
    case let byte where UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte: byte - UInt8(ascii: "0")
    case let byte where UInt8(ascii: "A")...UInt8(ascii: "F") ~= byte: byte - UInt8(ascii: "A") + 10
    case let byte where UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte: byte - UInt8(ascii: "a") + 10
    default: 255
    }
  }
}
