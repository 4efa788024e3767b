/// A position in the bytes of a format: what the parsers of tango's text, of JSON and of
/// MessagePack have in common.
@usableFromInline
protocol ValueParser {
  var start: UnsafeRawPointer { get }
  var end: UnsafeRawPointer { get }
  var limits: CodecLimits { get }
  var position: UnsafeRawPointer { get set }
  /// Tables that are open.
  var depth: Int { get set }
  /// Values so far.
  var values: Int { get set }
}

extension ValueParser {
  /// Where bytes begin. An empty buffer may have no address; any will do, since nothing is loaded
  /// from it.
  @inlinable
  static func start(of bytes: UnsafeRawBufferPointer) -> UnsafeRawPointer {
    bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
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
