extension JSONParser {
  /// Reads a string, which goes to the sink as it lies in the input if it has no escapes.
  @inlinable
  mutating func string<Sink: ValueSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    let first = position + 1
    let special = firstSpecial(first, end, quote: UInt8(ascii: "\""))
    if special < end && special.load(as: UInt8.self) == UInt8(ascii: "\"") {
      position = special + 1
      sink.string(UnsafeRawBufferPointer(start: first, count: special - first))
      return
    }
    try escapedString(scannedTo: special, into: &sink)
  }

  /// Reads a string that has escapes or control characters.
  @inlinable
  @inline(never)
  mutating func escapedString<Sink: ValueSink & ~Copyable>(
    scannedTo scanned: UnsafeRawPointer, into sink: inout Sink
  ) throws(CodecError) {
    let text = try quotedText(scannedTo: scanned)
    if text.escapes == 0 {
      sink.string(text.raw)
      return
    }
    withUnsafeTemporaryAllocation(byteCount: text.raw.count, alignment: 1) { room in
      sink.string(UnsafeRawBufferPointer(rebasing: room[..<unescapeJSON(text.raw, into: room)]))
    }
  }

  /// Finds the closing quote, checks what is before it, and stops behind it.
  @usableFromInline
  mutating func quotedText(
    scannedTo scanned: UnsafeRawPointer
  ) throws(CodecError) -> (raw: UnsafeRawBufferPointer, escapes: Int) {
    let first = position + 1
    var place = scanned
    var escapes = 0
    while place < end {
      switch place.load(as: UInt8.self) {
      case UInt8(ascii: "\""):
        position = place + 1
        return (UnsafeRawBufferPointer(start: first, count: place - first), escapes)
      case UInt8(ascii: "\\"):
        let backslash = place
        if decodeEscape(at: &place, before: end) == nil {
          throw unexpected(at: backslash, expecting: "an escape that JSON has")
        }
        escapes += 1
      default:
        place += 1
      }
      place = firstSpecial(place, end, quote: UInt8(ascii: "\""))
    }
    throw unexpected(at: end, expecting: "the quote that ends a string")
  }
}

/// Writes the string that `raw`, which was checked, stands for, and returns its length.
///
/// The room must have the length of `raw`: no escape stands for more than itself.
@usableFromInline
func unescapeJSON(_ raw: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int {
  copy(raw, into: room) { place, end, output in
    guard let code = decodeEscape(at: &place, before: end) else { return false }
    for byte in UTF8.encode(code)! {
      output.storeBytes(of: byte, as: UInt8.self)
      output += 1
    }
    return true
  }
}

/// Decodes the escape whose backslash is at `place` and steps over it; nil if JSON has no such
/// escape. Two escapes may make one character, by the halves of its UTF-16 form.
private func decodeEscape(
  at place: inout UnsafeRawPointer, before end: UnsafeRawPointer
) -> Unicode.Scalar? {
  guard end - place >= 2 else { return nil }
  let byte = place.load(fromByteOffset: 1, as: UInt8.self)
  let code: UInt8
  switch byte {
  case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): code = byte
  case UInt8(ascii: "b"): code = 8
  case UInt8(ascii: "t"): code = 9
  case UInt8(ascii: "n"): code = 10
  case UInt8(ascii: "f"): code = 12
  case UInt8(ascii: "r"): code = 13
  case UInt8(ascii: "u"):
    guard let unit = hexCode(at: place, before: end) else { return nil }
    guard unit & 0xFC00 == 0xD800 else {
      // Nil for the second half of a character without the first.
      guard let scalar = Unicode.Scalar(unit) else { return nil }
      place += 6
      return scalar
    }
    guard let second = hexCode(at: place + 6, before: end), second & 0xFC00 == 0xDC00 else {
      return nil
    }
    place += 12
    return Unicode.Scalar(0x10000 + (UInt32(unit & 0x3FF) << 10 | UInt32(second & 0x3FF)))
  default: return nil
  }
  place += 2
  return Unicode.Scalar(code)
}

/// The number that `\u` and four hexadecimal digits stand for.
private func hexCode(at place: UnsafeRawPointer, before end: UnsafeRawPointer) -> UInt16? {
  guard end - place >= 6, place.load(as: UInt8.self) == UInt8(ascii: "\\"),
    place.load(fromByteOffset: 1, as: UInt8.self) == UInt8(ascii: "u")
  else { return nil }
  var code: UInt16 = 0
  for index in 2..<6 {
    guard let digit = hexDigit(place.load(fromByteOffset: index, as: UInt8.self)) else {
      return nil
    }
    code = code << 4 | UInt16(digit)
  }
  return code
}
