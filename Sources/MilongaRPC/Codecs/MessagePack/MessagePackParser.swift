/// A position in MessagePack.
@usableFromInline
struct MessagePackParser: ValueParser {
  @usableFromInline var state: ParserState

  @inlinable
  init(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) {
    state = ParserState(bytes, limits)
  }

  @inlinable
  mutating func requireEnd() throws(CodecError) {
    if position < end { throw unexpected(expecting: "the end of the message") }
  }

  /// Steps over a number in big endian byte order.
  @inlinable
  @inline(__always)
  mutating func take<Number: FixedWidthInteger>(_: Number.Type) throws(CodecError) -> Number {
    guard end - position >= MemoryLayout<Number>.size else { throw incomplete() }
    let number = Number(bigEndian: position.loadUnaligned(as: Number.self))
    position += MemoryLayout<Number>.size
    return number
  }

  /// Reads a value of any type.
  @inlinable
  mutating func value<Sink: ValueSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    try countValue()
    let place = position
    let tag = try take(UInt8.self)
    switch tag {
    case 0x00...0x7F: sink.integer(Int64(tag))
    case 0xE0...0xFF: sink.integer(Int64(Int8(bitPattern: tag)))
    case 0xA0...0xBF: try string(Int(tag & 31), into: &sink)
    case 0x80...0x8F: try map(Int(tag & 15), into: &sink)
    case 0x90...0x9F: try array(Int(tag & 15), into: &sink)
    case 0xC0: sink.null()
    case 0xC2: sink.boolean(false)
    case 0xC3: sink.boolean(true)
    case 0xCB: sink.number(Double(bitPattern: try take(UInt64.self)))
    case 0xCA: sink.number(Double(Float(bitPattern: try take(UInt32.self))))
    case 0xCC: sink.integer(Int64(try take(UInt8.self)))
    case 0xCD: sink.integer(Int64(try take(UInt16.self)))
    case 0xCE: sink.integer(Int64(try take(UInt32.self)))
    case 0xCF:
      let number = try take(UInt64.self)
      if let integer = Int64(exactly: number) {
        sink.integer(integer)
      } else {
        sink.number(Double(number))
      }
    case 0xD0: sink.integer(Int64(try take(Int8.self)))
    case 0xD1: sink.integer(Int64(try take(Int16.self)))
    case 0xD2: sink.integer(Int64(try take(Int32.self)))
    case 0xD3: sink.integer(try take(Int64.self))
    case 0xD9, 0xC4: try string(Int(try take(UInt8.self)), into: &sink)
    case 0xDA, 0xC5: try string(Int(try take(UInt16.self)), into: &sink)
    case 0xDB, 0xC6: try string(Int(try take(UInt32.self)), into: &sink)
    case 0xDC: try array(Int(try take(UInt16.self)), into: &sink)
    case 0xDD: try array(Int(try take(UInt32.self)), into: &sink)
    case 0xDE: try map(Int(try take(UInt16.self)), into: &sink)
    case 0xDF: try map(Int(try take(UInt32.self)), into: &sink)
    default:
      position = place
      guard sink.takesReferences, let reference = reference() else { throw refused(tag) }
      sink.reference(reference)
    }
  }

  @usableFromInline
  @inline(never)
  func refused(_ tag: UInt8) -> CodecError {
    unexpected(
      expecting: tag == 0xC1
        ? "a value" : "a value that Lua has, which an extension is not")
  }

  /// Steps over a reference, an extension of 5 bytes; nil, and nothing, when something else is
  /// here.
  @usableFromInline
  @inline(never)
  mutating func reference() -> Tango2Reference? {
    guard end - position >= 8, position.load(as: UInt8.self) == 0xC7,
      position.load(fromByteOffset: 1, as: UInt8.self) == UInt8(Tango2Reference.extensionBytes),
      position.load(fromByteOffset: 2, as: UInt8.self) == Tango2Reference.extensionType
    else { return nil }
    let kind = position.load(fromByteOffset: 3, as: UInt8.self)
    let number = UInt32(bigEndian: position.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    guard let reference = Tango2Reference(kindByte: kind, number: number) else { return nil }
    position += 8
    return reference
  }

  @inlinable
  @inline(__always)
  mutating func string<Sink: ValueSink & ~Copyable>(
    _ count: Int, into sink: inout Sink
  ) throws(CodecError) {
    guard end - position >= count else { throw incomplete() }
    sink.string(UnsafeRawBufferPointer(start: position, count: count))
    position += count
  }

  /// Counts a table of so many values, each of which takes a byte at least: so a header is never
  /// believed more than the rest of the message can hold.
  @inlinable
  mutating func enter(_ count: Int) throws(CodecError) {
    guard count <= end - position else { throw incomplete() }
    try countTable()
    if count > limits.values - values { throw exceeds("values", limits.values) }
  }

  @inlinable
  mutating func array<Sink: ValueSink & ~Copyable>(
    _ count: Int, into sink: inout Sink
  ) throws(CodecError) {
    try enter(count)
    sink.beginTable(elements: count, entries: 0)
    var index = 1
    while index <= count {
      sink.beginElement(index)
      try value(into: &sink)
      sink.endElement(index)
      index &+= 1
    }
    sink.endTable()
    depth &-= 1
  }

  @inlinable
  mutating func map<Sink: ValueSink & ~Copyable>(
    _ count: Int, into sink: inout Sink
  ) throws(CodecError) {
    try enter(2 * count)
    sink.beginTable(elements: 0, entries: count)
    for _ in 0..<count {
      sink.beginKey()
      try checkKey()
      try value(into: &sink)
      sink.beginValue()
      try value(into: &sink)
      sink.endEntry()
    }
    sink.endTable()
    depth &-= 1
  }

  /// Refuses nil and not-a-number, which no table of Lua has as keys.
  @inlinable
  func checkKey() throws(CodecError) {
    guard position < end else { return }
    let tag = position.load(as: UInt8.self)
    if tag == 0xC0 || tag & 0xFE == 0xCA { try checkRareKey(tag) }
  }

  @usableFromInline
  @inline(never)
  func checkRareKey(_ tag: UInt8) throws(CodecError) {
    if tag == 0xC0 { throw unexpected(expecting: "a key other than nil") }
    var ahead = self
    ahead.position += 1
    let isNaN =
      tag == 0xCA
      ? Float(bitPattern: try ahead.take(UInt32.self)).isNaN
      : Double(bitPattern: try ahead.take(UInt64.self)).isNaN
    if isNaN { throw unexpected(expecting: "a key that is a number") }
  }

  // MARK: Messages

  /// Reads the array of a message, whose elements go to the sink without the array.
  @inlinable
  mutating func message<Sink: MessageSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    values &+= 1
    let place = position
    let tag = try take(UInt8.self)
    switch tag {
    case 0x90...0x9F: try elements(Int(tag & 15), into: &sink)
    case 0xDC: try elements(Int(try take(UInt16.self)), into: &sink)
    case 0xDD: try elements(Int(try take(UInt32.self)), into: &sink)
    case 0x80...0x8F: try indexedElements(Int(tag & 15), into: &sink)
    case 0xDE: try indexedElements(Int(try take(UInt16.self)), into: &sink)
    case 0xDF: try indexedElements(Int(try take(UInt32.self)), into: &sink)
    default:
      position = place
      throw unexpected(expecting: "an array")
    }
  }

  @inlinable
  mutating func elements<Sink: MessageSink & ~Copyable>(
    _ count: Int, into sink: inout Sink
  ) throws(CodecError) {
    try enter(count)
    if count > limits.messageElements { throw tooManyElements() }
    var index = 1
    while index <= count {
      try value(into: &sink)
      sink.endMessageElement(at: index)
      index &+= 1
    }
    depth &-= 1
  }

  @usableFromInline
  mutating func indexedElements<Sink: MessageSink & ~Copyable>(
    _ count: Int, into sink: inout Sink
  ) throws(CodecError) {
    try enter(2 * count)
    for _ in 0..<count {
      try checkKey()
      let place = position
      var key = IndexSink()
      try value(into: &key)
      if let index = key.index, index > limits.messageElements {
        position = place
        throw tooManyElements()
      }
      try value(into: &sink)
      if let index = key.index, index >= 1 {
        sink.endMessageElement(at: Int(index))
      } else {
        sink.discardMessageEntry()
      }
    }
    depth &-= 1
  }

  // MARK: Failures

  @usableFromInline
  @inline(never)
  func incomplete() -> CodecError {
    CodecError(.syntax, at: end - start, of: input, expected: "the rest of a value")
  }
}
