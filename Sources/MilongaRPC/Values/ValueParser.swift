/// A position in the bytes of a format: what the parsers of tango's text, of JSON and of
/// MessagePack have in common.
@usableFromInline
protocol ValueParser {
  var state: ParserState { get set }
}

/// Where a parser is in its bytes, and what it has counted.
@frozen
@usableFromInline
struct ParserState {
  @usableFromInline let start: UnsafeRawPointer
  @usableFromInline let end: UnsafeRawPointer
  @usableFromInline let limits: CodecLimits
  @usableFromInline var position: UnsafeRawPointer
  /// Tables that are open.
  @usableFromInline var depth = 0
  /// Values so far.
  @usableFromInline var values = 0

  @inlinable
  init(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) {
    // An empty buffer may have no address; any will do, since nothing is loaded from it.
    start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    end = start + bytes.count
    position = start
    self.limits = limits
  }
}

extension ValueParser {
  @inlinable
  @inline(__always)
  var start: UnsafeRawPointer { state.start }

  @inlinable
  @inline(__always)
  var end: UnsafeRawPointer { state.end }

  @inlinable
  @inline(__always)
  var limits: CodecLimits { state.limits }

  @inlinable
  @inline(__always)
  var position: UnsafeRawPointer {
    get { state.position }
    set { state.position = newValue }
  }

  @inlinable
  @inline(__always)
  var depth: Int {
    get { state.depth }
    set { state.depth = newValue }
  }

  @inlinable
  @inline(__always)
  var values: Int {
    get { state.values }
    set { state.values = newValue }
  }

  /// The byte at the position, or 0 at the end: no rule of a text starts with NUL.
  @inlinable
  @inline(__always)
  var peek: UInt8 { position < end ? position.load(as: UInt8.self) : 0 }

  @inlinable
  @inline(__always)
  mutating func countValue() throws(CodecError) {
    values &+= 1
    if values > limits.values { throw exceeds("values", limits.values) }
  }

  @inlinable
  @inline(__always)
  mutating func countTable() throws(CodecError) {
    depth &+= 1
    if depth > limits.depth { throw exceeds("nested tables", limits.depth) }
  }

  // MARK: Failures

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

  @usableFromInline
  @inline(never)
  func tooManyElements() -> CodecError { exceeds("message elements", limits.messageElements) }

  @usableFromInline
  var input: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start, count: end - start)
  }
}
