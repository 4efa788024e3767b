extension TangoTextParser {
  /// Reads a quoted string, which goes to the sink as it lies in the input if it has no escapes.
  @inlinable
  mutating func string<Sink: ValueSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    let quote = peek
    let first = position + 1
    let special = firstSpecial(first, end, quote: quote)
    if special < end && special.load(as: UInt8.self) == quote {
      position = special + 1
      sink.string(UnsafeRawBufferPointer(start: first, count: special - first))
      return
    }
    try escapedString(quote, scannedTo: special, into: &sink)
  }

  /// Reads a string that has escapes, or quotes and control characters that need none.
  @inlinable
  @inline(never)
  mutating func escapedString<Sink: ValueSink & ~Copyable>(
    _ quote: UInt8, scannedTo scanned: UnsafeRawPointer, into sink: inout Sink
  ) throws(CodecError) {
    let text = try quotedText(quote, scannedTo: scanned)
    if text.escapes == 0 {
      sink.string(text.raw)
      return
    }
    withUnsafeTemporaryAllocation(byteCount: text.raw.count, alignment: 1) { room in
      sink.string(UnsafeRawBufferPointer(rebasing: room[..<unescape(text.raw, into: room)]))
    }
  }

  /// Finds the closing quote, checks what is before it, and stops behind it.
  @usableFromInline
  mutating func quotedText(
    _ quote: UInt8, scannedTo scanned: UnsafeRawPointer
  ) throws(CodecError) -> (raw: UnsafeRawBufferPointer, escapes: Int) {
    let first = position + 1
    var place = scanned
    var escapes = 0
    while place < end {
      switch place.load(as: UInt8.self) {
      case quote:
        position = place + 1
        return (UnsafeRawBufferPointer(start: first, count: place - first), escapes)
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
        throw unexpected(at: place, expecting: "an escape such as \\n for the end of a line")
      case UInt8(ascii: "\\"):
        let backslash = place
        guard let code = escape(at: &place, before: end) else {
          throw unexpected(at: end, expecting: "the rest of an escape")
        }
        if code > 255 { throw unexpected(at: backslash, expecting: "an escape up to \\255") }
        escapes += 1
      default:
        place += 1
      }
      place = firstSpecial(place, end, quote: quote)
    }
    throw unexpected(at: end, expecting: "the quote that ends a string")
  }
}

/// Writes the string that `raw`, which was checked, stands for, and returns its length.
///
/// The room must have the length of `raw`: no escape stands for more than itself.
@usableFromInline
func unescape(_ raw: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int {
  copy(raw, into: room) { place, end, output in
    guard let code = escape(at: &place, before: end) else { return false }
    output.storeBytes(of: UInt8(truncatingIfNeeded: code), as: UInt8.self)
    output += 1
    return true
  }
}

/// Decodes the escape whose backslash is at `place` and steps over it; nil if the text ends before.
///
/// Lua 5.1 (llex.c, read_string): one to three decimal digits, a letter for a control character, an
/// end of line for LF, any other character for itself. The code may exceed 255.
private func escape(at place: inout UnsafeRawPointer, before end: UnsafeRawPointer) -> Int? {
  place += 1
  guard place < end else { return nil }
  let byte = place.load(as: UInt8.self)
  place += 1
  switch byte {
  case UInt8(ascii: "a"): return 7
  case UInt8(ascii: "b"): return 8
  case UInt8(ascii: "t"): return 9
  case UInt8(ascii: "n"): return 10
  case UInt8(ascii: "v"): return 11
  case UInt8(ascii: "f"): return 12
  case UInt8(ascii: "r"): return 13
  case 10, 13:
    // CR LF and LF CR are one end of line.
    if place < end, place.load(as: UInt8.self) == 23 - byte { place += 1 }
    return 10
  case _ where isDigit(byte):
    var code = Int(byte & 15)
    for _ in 1...2 where place < end && isDigit(place.load(as: UInt8.self)) {
      code = code * 10 + Int(place.load(as: UInt8.self) & 15)
      place += 1
    }
    return code
  default: return Int(byte)
  }
}
