/// A position in JSON.
@usableFromInline
struct JSONParser: ValueParser {
  @usableFromInline var state: ParserState

  @inlinable
  init(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) {
    state = ParserState(bytes, limits)
  }

  @inlinable
  @inline(__always)
  mutating func skipSpace() {
    while position < end {
      let byte = position.load(as: UInt8.self)
      guard byte == 32 || byte == 10 || byte == 13 || byte == 9 else { return }
      position += 1
    }
  }

  @inlinable
  mutating func requireEnd() throws(CodecError) {
    skipSpace()
    if position < end { throw unexpected(expecting: "the end of the text") }
  }

  /// Reads a value of any type.
  @inlinable
  mutating func value<Sink: ValueSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    try countValue()
    switch peek {
    case UInt8(ascii: "\""): try string(into: &sink)
    case UInt8(ascii: "{"): try object(into: &sink)
    case UInt8(ascii: "["): try array(into: &sink)
    case UInt8(ascii: "t"):
      try word("true")
      sink.boolean(true)
    case UInt8(ascii: "f"):
      try word("false")
      sink.boolean(false)
    case UInt8(ascii: "n"):
      try word("null")
      sink.null()
    default:
      switch try number() {
      case .integer(let value): sink.integer(value)
      case .number(let value): sink.number(value)
      }
    }
  }

  @usableFromInline
  mutating func word(_ word: StaticString) throws(CodecError) {
    let count = word.utf8CodeUnitCount
    guard end - position >= count else { throw unexpected(expecting: "a value") }
    for index in 0..<count
    where position.load(fromByteOffset: index, as: UInt8.self) != word.utf8Start[index] {
      throw unexpected(expecting: "a value")
    }
    position += count
  }

  // MARK: Numbers

  /// number = ["-"] ("0" | digit {digit}) ["." digit {digit}] [("e" | "E") ["+" | "-"] digit
  /// {digit}]
  @usableFromInline
  mutating func number() throws(CodecError) -> ParsedNumber {
    let first = position
    let isNegative = peek == UInt8(ascii: "-")
    if isNegative { position += 1 }
    let firstDigit = position
    var magnitude: UInt64 = 0
    while isDigit(peek) {
      magnitude = magnitude &* 10 &+ UInt64(peek & 15)
      position += 1
    }
    let digits = position - firstDigit
    guard digits > 0 else {
      position = first
      throw unexpected(expecting: "a value")
    }
    if digits > 1, firstDigit.load(as: UInt8.self) == UInt8(ascii: "0") {
      position = first
      throw unexpected(expecting: "a number without zeros in front")
    }
    let next = peek
    if next != UInt8(ascii: "."), next | 0x20 != UInt8(ascii: "e"), digits < 19 {
      return .integer(isNegative ? -Int64(magnitude) : Int64(magnitude))
    }
    if next == UInt8(ascii: ".") {
      position += 1
      try skipDigits("the digits behind the point")
    }
    if peek | 0x20 == UInt8(ascii: "e") {
      position += 1
      if peek == UInt8(ascii: "-") || peek == UInt8(ascii: "+") { position += 1 }
      try skipDigits("the digits of an exponent")
    }
    var reader = DecimalReader(firstDigit, position)
    do throws(DecimalReader.Failure) {
      return try reader.read(isNegative: isNegative)
    } catch {
      // The digits were checked above.
      throw unexpected(at: first, expecting: "a number")
    }
  }

  private mutating func skipDigits(_ what: String) throws(CodecError) {
    guard isDigit(peek) else { throw unexpected(expecting: what) }
    while isDigit(peek) { position += 1 }
  }

  // MARK: Tables

  @inlinable
  mutating func enterTable() throws(CodecError) {
    position += 1
    try countTable()
    skipSpace()
  }

  @inlinable
  mutating func array<Sink: ValueSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    try enterTable()
    sink.beginTable(elements: 0, entries: 0)
    if peek == UInt8(ascii: "]") {
      position += 1
    } else {
      var index = 1
      repeat {
        sink.beginElement(index)
        try value(into: &sink)
        sink.endElement(index)
        index &+= 1
      } while try goesOn(UInt8(ascii: "]"))
    }
    sink.endTable()
    depth &-= 1
  }

  /// Steps over a comma, or the bracket that ends the table: then it does not go on.
  @inlinable
  @inline(__always)
  mutating func goesOn(_ bracket: UInt8) throws(CodecError) -> Bool {
    skipSpace()
    let byte = peek
    if byte == UInt8(ascii: ",") {
      position += 1
      skipSpace()
      return true
    }
    guard byte == bracket else {
      throw unexpected(expecting: bracket == UInt8(ascii: "]") ? "',' or ']'" : "',' or '}'")
    }
    position += 1
    return false
  }

  @inlinable
  mutating func object<Sink: ValueSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    try enterTable()
    sink.beginTable(elements: 0, entries: 0)
    if peek == UInt8(ascii: "}") {
      position += 1
    } else {
      repeat {
        sink.beginKey()
        try countValue()
        guard peek == UInt8(ascii: "\"") else { throw unexpected(expecting: "a key in quotes") }
        try string(into: &sink)
        skipSpace()
        guard peek == UInt8(ascii: ":") else { throw unexpected(expecting: "':'") }
        position += 1
        skipSpace()
        sink.beginValue()
        try value(into: &sink)
        sink.endEntry()
      } while try goesOn(UInt8(ascii: "}"))
    }
    sink.endTable()
    depth &-= 1
  }

  // MARK: Messages

  /// Reads the array of a message, whose elements go to the sink without the array.
  @inlinable
  mutating func message<Sink: MessageSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    guard peek == UInt8(ascii: "[") else { throw unexpected(expecting: "an array") }
    try countValue()
    try enterTable()
    if peek == UInt8(ascii: "]") {
      position += 1
    } else {
      var index = 1
      repeat {
        if index > limits.messageElements { throw tooManyElements() }
        try value(into: &sink)
        sink.endMessageElement(at: index)
        index &+= 1
      } while try goesOn(UInt8(ascii: "]"))
    }
    depth &-= 1
  }
}
