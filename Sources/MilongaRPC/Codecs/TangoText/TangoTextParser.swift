/// A position in tango's text, with what every rule of the grammar needs.
@usableFromInline
struct TangoTextParser: ValueParser {
  @usableFromInline var state: ParserState

  @inlinable
  init(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) {
    state = ParserState(bytes, limits)
  }

  /// Steps over `byte` if it is next.
  @inlinable
  mutating func skip(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += position < end ? 1 : 0
    return true
  }

  /// Steps over white space: space, and HT, LF, VT, FF, CR.
  @inlinable
  mutating func skipSpace() {
    while position < end {
      let byte = position.load(as: UInt8.self)
      guard byte == UInt8(ascii: " ") || byte &- 9 < 5 else { return }
      position += 1
    }
  }

  /// Steps over `return`, with which a peer may make its text a Lua chunk.
  @inlinable
  mutating func skipReturn() {
    skipSpace()
    guard peek == UInt8(ascii: "r") else { return }
    let text = position
    if !word().isEqual(to: "return") { position = text }
    skipSpace()
  }

  /// Steps over a word and returns it; it is empty when none is next.
  @usableFromInline
  mutating func word() -> UnsafeRawBufferPointer {
    let first = position
    if isNameStart(peek) {
      repeat { position += 1 } while isNamePart(peek)
    }
    return UnsafeRawBufferPointer(start: first, count: position - first)
  }

  /// Requires that nothing but white space follows.
  @inlinable
  mutating func requireEnd() throws(CodecError) {
    skipSpace()
    if position < end { throw unexpected(expecting: "the end of the text") }
  }
}
