extension TangoTextParser {
  /// table = "{" [entry {separator entry} [separator]] "}"
  @inlinable
  mutating func table<Sink: ValueSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    try countTable()
    position += 1
    sink.beginTable(elements: 0, entries: 0)
    var elements = 0
    while let key = try nextEntry() {
      if key == .none {
        elements &+= 1
        sink.beginElement(elements)
        try value(into: &sink)
        sink.endElement(elements)
      } else {
        sink.beginKey()
        try self.key(key, into: &sink)
        sink.beginValue()
        try value(into: &sink)
        sink.endEntry()
      }
      try separator()
    }
    sink.endTable()
    depth &-= 1
  }

  /// How the key of an entry is written.
  @usableFromInline
  enum Key {
    case none
    case name
    case bracketed
  }

  /// Whether another entry comes and of which sort; steps over the brace that ends the table.
  @inlinable
  mutating func nextEntry() throws(CodecError) -> Key? {
    skipSpace()
    let byte = peek
    if byte == UInt8(ascii: "}") {
      position += 1
      return nil
    }
    if byte == UInt8(ascii: "[") { return .bracketed }
    return isNameStart(byte) && nameFollows() ? .name : Key.none
  }

  /// Whether a word and then an equals sign are next, as opposed to `nil` or `true`.
  @usableFromInline
  func nameFollows() -> Bool {
    var ahead = self
    _ = ahead.word()
    ahead.skipSpace()
    return ahead.peek == UInt8(ascii: "=")
  }

  /// Reads a key and the equals sign, and stops at the value.
  @inlinable
  mutating func key<Sink: ValueSink & ~Copyable>(
    _ key: Key, into sink: inout Sink
  ) throws(CodecError) {
    if key == .name {
      try countValue()
      sink.string(word())
    } else {
      position += 1
      skipSpace()
      let place = position
      if isNameStart(peek) || isNumberStart(peek) {
        try countValue()
        let scalar = try scalar()
        switch scalar {
        case .null: throw unexpected(at: place, expecting: "a key other than nil")
        case .boolean(let value): sink.boolean(value)
        case .integer(let value): sink.integer(value)
        case .number(let value):
          if value.isNaN { throw unexpected(at: place, expecting: "a key that is a number") }
          sink.number(value)
        }
      } else {
        try value(into: &sink)
      }
      skipSpace()
      guard skip(UInt8(ascii: "]")) else { throw unexpected(expecting: "']'") }
    }
    skipSpace()
    guard skip(UInt8(ascii: "=")) else { throw unexpected(expecting: "'='") }
    skipSpace()
  }

  /// Steps over a separator, or stops at the brace that ends the table.
  @inlinable
  mutating func separator() throws(CodecError) {
    skipSpace()
    let byte = peek
    if byte == UInt8(ascii: ",") || byte == UInt8(ascii: ";") {
      position += 1
    } else if byte != UInt8(ascii: "}") {
      throw unexpected(expecting: "',' or '}'")
    }
  }
}
