extension TangoTextParser {
  /// Reads the table of a message, whose elements go to the sink without the table.
  @inlinable
  @inline(__always)
  mutating func message<Sink: MessageSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    guard peek == UInt8(ascii: "{") else { throw unexpected(expecting: "a table") }
    try countValue()
    try countTable()
    position += 1
    var elements = 0
    while let key = try nextEntry() {
      if key == .none {
        elements &+= 1
        if elements > limits.messageElements { throw tooManyElements() }
        try value(into: &sink)
        sink.endMessageElement(at: elements)
      } else {
        let index = try messageIndex(key)
        try value(into: &sink)
        // Lua lets positional elements win over keys: `{"a",[1]="b"}` has "a" at 1.
        if let index, index > elements {
          sink.endMessageElement(at: index)
        } else {
          sink.discardMessageEntry()
        }
      }
      try separator()
    }
    depth &-= 1
  }

  /// Reads a key of the message: its index, or nil for a key that is no index from 1 on.
  @usableFromInline
  mutating func messageIndex(_ key: Key) throws(CodecError) -> Int? {
    let place = position
    var sink = IndexSink()
    try self.key(key, into: &sink)
    guard let index = sink.index, index >= 1 else { return nil }
    guard index <= limits.messageElements else {
      position = place
      throw tooManyElements()
    }
    return Int(index)
  }
}
