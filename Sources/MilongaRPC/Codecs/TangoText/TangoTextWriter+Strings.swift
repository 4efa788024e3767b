extension TangoTextWriter {
  /// Writes a string in double quotes: runs of plain bytes as they are, the others escaped.
  @inlinable
  mutating func quoted(_ bytes: UnsafeRawBufferPointer) {
    buffer.reserve(bytes.count + 2)
    buffer.append(UInt8(ascii: "\""))
    if var place = bytes.baseAddress {
      let end = place + bytes.count
      while true {
        let special = firstSpecial(place, end, quote: UInt8(ascii: "\""))
        buffer.append(place, special - place)
        if special == end { break }
        place = special + 1
        escape(special.load(as: UInt8.self), digitFollows: place < end && isDigit(at: place))
      }
    }
    buffer.append(UInt8(ascii: "\""))
  }

  @usableFromInline
  mutating func escape(_ byte: UInt8, digitFollows: Bool) {
    switch byte {
    case UInt8(ascii: "\""): buffer.append("\\\"")
    case UInt8(ascii: "\\"): buffer.append("\\\\")
    case UInt8(ascii: "\n"): buffer.append("\\n")
    case UInt8(ascii: "\r"): buffer.append("\\r")
    // A digit would become part of a shorter escape.
    case 0: buffer.append(digitFollows ? "\\000" : "\\0")
    default: buffer.append(byte)
    }
  }

  @inlinable
  func isDigit(at place: UnsafeRawPointer) -> Bool {
    MilongaRPC.isDigit(place.load(as: UInt8.self))
  }
}
