import CMilongaMemory

/// Reads luatobin; see ``Luatobin``.
///
/// A reader keeps memory between messages, so that reading allocates nothing: a connection, or all
/// connections of a thread, have one. It does not recurse, however deep tables are nested.
public struct LuatobinReader: ~Copyable {
  /// What a message may cost.
  public let limits: CodecLimits

  @usableFromInline
  struct OpenTable {
    /// Pairs that are not complete yet.
    @usableFromInline var remaining: Int
    /// The next positional element, while no other key has come; 0 after one has.
    @usableFromInline var element: Int
    /// What the value that is being read is.
    @usableFromInline var part: Part

    @inlinable
    init(remaining: Int) {
      self.remaining = remaining
      element = 1
      part = .value
    }
  }

  @usableFromInline
  enum Part { case key, value, element }

  @usableFromInline var open: ContiguousArray<OpenTable> = []
  /// Where the strings of the value that is being read begin, by the numbers of objects; for tables
  /// and functions, how many of them there are up to this one, negative.
  @usableFromInline var objects: ContiguousArray<Int32> = []
  @usableFromInline var kept: Int32 = 0
  @usableFromInline var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
  @usableFromInline var position = 0
  @usableFromInline var values = 0
  /// A reference can only be where its tag is: without one, nothing has to be kept.
  @usableFromInline var mayRefer = false
  /// There is no memory for what has to be kept of so many bytes.
  @usableFromInline var lacksMemory = false

  /// A reader with these limits.
  @inlinable
  public init(limits: CodecLimits = CodecLimits()) { self.limits = limits }

  /// Starts to read a message, whose bytes must stay valid until it was read.
  @inlinable
  public mutating func begin(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    position = 0
    values = 0
    mayRefer = contains(Luatobin.Tag.reference, in: bytes)
    lacksMemory = bytes.count > 1 << 16 && milonga_is_available(bytes.count * 8) == 0
  }

  /// How many bytes of the message were read.
  @inlinable public var consumed: Int { position }

  /// Whether all values were read.
  @inlinable public var isAtEnd: Bool { position == bytes.count }

  /// The tag of the next value; nil at the end.
  @inlinable public var nextTag: UInt8? { isAtEnd ? nil : bytes[position] }

  /// Takes a tag and the 4 bytes behind it: what comes in the place of a value in some protocols.
  public mutating func takeTaggedID() throws(CodecError) -> UInt32 {
    try need(5, "5 bytes")
    defer { position += 5 }
    return UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: position + 1, as: UInt32.self))
  }

  /// Reads the next value of the message and sends it to `sink`.
  ///
  /// - Throws: ``CodecError`` when the bytes are no value, or exceed a limit. The sink has an
  ///   unfinished value then.
  @inlinable
  public mutating func readValue<Sink: GraphSink & ~Copyable>(
    into sink: inout Sink
  ) throws(CodecError) {
    if lacksMemory { throw .memory }
    if !open.isEmpty { open.removeAll(keepingCapacity: true) }
    if !objects.isEmpty { objects.removeAll(keepingCapacity: true) }
    kept = 0
    while true {
      if try item(into: &sink) { continue }
      // A value is complete: what was it for?
      while true {
        guard let last = open.indices.last else { return }
        switch open[last].part {
        case .key:
          sink.beginValue()
          open[last].part = .value
        case .value:
          sink.endEntry()
          open[last].remaining -= 1
          if endTable(last, &sink) { continue }
          try beginPair(last, &sink)
        case .element:
          sink.endElement(open[last].element)
          open[last].element += 1
          open[last].remaining -= 1
          if endTable(last, &sink) { continue }
          try beginPair(last, &sink)
        }
        break
      }
    }
  }

  @inlinable
  @inline(__always)
  mutating func endTable<Sink: GraphSink & ~Copyable>(_ last: Int, _ sink: inout Sink) -> Bool {
    guard open[last].remaining == 0 else { return false }
    open.removeLast()
    sink.endTable()
    return true
  }

  /// Keys 1, 2, 3, ... at the start of a table are its elements.
  @inlinable
  @inline(__always)
  mutating func beginPair<Sink: GraphSink & ~Copyable>(
    _ last: Int, _ sink: inout Sink
  ) throws(CodecError) {
    let element = open[last].element
    if element != 0, element == integerAhead {
      position += 5
      sink.beginElement(element)
      open[last].part = .element
    } else {
      if nextTag == Luatobin.Tag.null { throw error(.syntax, "a key, which nil cannot be,") }
      open[last].element = 0
      open[last].part = .key
      sink.beginKey()
    }
  }

  /// The integer that comes next; 0 when something else does.
  @inlinable
  @inline(__always)
  var integerAhead: Int {
    guard bytes.count - position >= 5, bytes[position] == Luatobin.Tag.integer else { return 0 }
    return Int(
      Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: position + 1, as: Int32.self)))
  }

  /// Reads a value, or, and then the result is true, the start of a table that has pairs.
  @inlinable
  @inline(__always)
  mutating func item<Sink: GraphSink & ~Copyable>(
    into sink: inout Sink
  ) throws(CodecError) -> Bool {
    guard position < bytes.count else { throw error(.syntax, "a value") }
    switch bytes[position] {
    case Luatobin.Tag.null:
      position += 1
      sink.null()
    case Luatobin.Tag.boolean:
      try need(2, "a boolean")
      sink.boolean(bytes[position + 1] != 0)
      position += 2
    case Luatobin.Tag.integer:
      try need(5, "an integer of 4 bytes")
      let value = bytes.loadUnaligned(fromByteOffset: position + 1, as: Int32.self)
      sink.integer(Int64(Int32(bigEndian: value)))
      position += 5
    case Luatobin.Tag.number:
      try need(9, "a double of 8 bytes")
      let bits = bytes.loadUnaligned(fromByteOffset: position + 1, as: UInt64.self)
      let value = Double(bitPattern: UInt64(bigEndian: bits))
      if value.isNaN, let last = open.last, last.part == .key {
        throw error(.syntax, "a key, which not a number cannot be,")
      }
      sink.number(value)
      position += 9
    case Luatobin.Tag.string:
      let size = try sizeAhead("a string")
      if mayRefer { objects.append(Int32(truncatingIfNeeded: position)) }
      sink.string(UnsafeRawBufferPointer(rebasing: bytes[position + 3..<position + 3 + size]))
      position += 3 + size
    case Luatobin.Tag.table: return try beginTable(into: &sink)
    case Luatobin.Tag.function:
      let size = try sizeAhead("a function")
      sink.function(UnsafeRawBufferPointer(rebasing: bytes[position + 3..<position + 3 + size]))
      keep(&sink)
      position += 3 + size
    case Luatobin.Tag.reference: try reference(into: &sink)
    default: throw error(.syntax, "the type of a value")
    }
    return false
  }

  @inlinable
  mutating func beginTable<Sink: GraphSink & ~Copyable>(
    into sink: inout Sink
  ) throws(CodecError) -> Bool {
    try need(3, "a table's number of pairs")
    let count = sizeField
    guard open.count < limits.depth else {
      throw error(.limit, "tables nested at most \(limits.depth) deep")
    }
    values += 2 * count
    guard values <= limits.values else {
      throw error(.limit, "at most \(limits.values) values in a message")
    }
    position += 3
    // The count is only announced: no more is reserved than what is there can hold.
    let rest = bytes.count - position
    if count > 0, integerAhead == 1 {
      sink.beginTable(elements: min(count, rest / 6), entries: 0)
    } else {
      sink.beginTable(elements: 0, entries: min(count, rest / 3))
    }
    keep(&sink)
    guard count > 0 else {
      sink.endTable()
      return false
    }
    open.append(OpenTable(remaining: count))
    try beginPair(open.count - 1, &sink)
    return true
  }

  @inlinable
  mutating func keep<Sink: GraphSink & ~Copyable>(_ sink: inout Sink) {
    guard mayRefer else { return }
    kept &+= 1
    objects.append(-kept)
    sink.keep(as: Int(kept))
  }

  @inlinable
  mutating func reference<Sink: GraphSink & ~Copyable>(
    into sink: inout Sink
  ) throws(CodecError) {
    try need(3, "a reference of 2 bytes")
    let number = sizeField
    guard number >= 1, number <= objects.count else {
      throw error(.syntax, "a reference to one of the \(objects.count) objects before it")
    }
    let place = Int(objects[number - 1])
    if place >= 0 {
      let size = Int(bytes[place + 1]) << 8 | Int(bytes[place + 2])
      sink.string(
        UnsafeRawBufferPointer(rebasing: bytes[place + 3..<place + 3 + size]), again: number)
    } else {
      sink.reference(-place)
    }
    position += 3
  }

  /// The 2 bytes behind the tag.
  @inlinable
  @inline(__always)
  var sizeField: Int { Int(bytes[position + 1]) << 8 | Int(bytes[position + 2]) }

  /// The size of a string or function, all of which is there.
  @inlinable
  @inline(__always)
  func sizeAhead(_ what: StaticString) throws(CodecError) -> Int {
    try need(3, what)
    let size = sizeField
    try need(3 + size, what)
    return size
  }

  @inlinable
  @inline(__always)
  func need(_ count: Int, _ what: StaticString) throws(CodecError) {
    if bytes.count - position < count { throw truncated(what) }
  }

  @usableFromInline
  func truncated(_ what: StaticString) -> CodecError {
    CodecError(.syntax, at: bytes.count, of: bytes, expected: "the rest of \(what)")
  }

  @usableFromInline
  func error(_ kind: CodecError.Kind, _ expected: String) -> CodecError {
    CodecError(kind, at: position, of: bytes, expected: expected)
  }
}
