/// A position in tango's text, with what every rule of the grammar needs.
@usableFromInline
struct TangoTextParser {
  @usableFromInline let start: UnsafeRawPointer
  @usableFromInline let end: UnsafeRawPointer
  @usableFromInline let limits: CodecLimits
  @usableFromInline var position: UnsafeRawPointer
  @usableFromInline var depth = 0
  @usableFromInline var values = 0

  @inlinable
  init(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) {
    // An empty buffer may have no address; any will do, since nothing is loaded from it.
    start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    end = start + bytes.count
    position = start
    self.limits = limits
  }

  /// The byte at the position, or 0 at the end: no rule starts with NUL.
  @inlinable var peek: UInt8 { position < end ? position.load(as: UInt8.self) : 0 }

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

  @inlinable
  mutating func enterTable() throws(CodecError) {
    depth &+= 1
    if depth > limits.depth { throw exceeds("nested tables", limits.depth) }
  }

  @inlinable
  mutating func countValue() throws(CodecError) {
    values &+= 1
    if values > limits.values { throw exceeds("values", limits.values) }
  }

  /// The error for a position where something else should be.
  @usableFromInline
  @inline(never)
  func unexpected(
    at place: UnsafeRawPointer? = nil, expecting expected: String
  ) -> CodecError {
    CodecError(.syntax, at: (place ?? position) - start, of: input, expected: expected)
  }

  /// The error for a position where a limit is exceeded.
  @usableFromInline
  @inline(never)
  func exceeds(_ things: String, _ limit: Int) -> CodecError {
    CodecError(.limit, at: position - start, of: input, expected: "at most \(limit) \(things)")
  }

  private var input: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start, count: end - start)
  }
}
