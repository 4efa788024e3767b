/// A sink that writes tango's text, as the original reads it on Lua 5.1, and Lua 5.4 with all types
/// intact; see ``TangoText``.
///
/// The writer owns the buffer of its connection. A message is a table: start it with
/// ``beginTable(elements:entries:)``, write the elements, and end it with ``endTable()``. Elements
/// must come as 1, 2, 3, ..., with ``null()`` for those that are nil.
public struct TangoTextWriter: ~Copyable {
  /// Where the text goes.
  public var buffer: OutputBuffer

  // A string that is a key is written bare if it is a name, which only becomes known with the
  // string itself; its bracket is already there then.
  @usableFromInline
  enum Key {
    case none
    case expected
    case bare
  }

  @usableFromInline var key = Key.none

  /// A writer that appends to `buffer`.
  @inlinable
  public init(buffer: consuming OutputBuffer = OutputBuffer()) { self.buffer = buffer }

  /// Forgets a value that was broken off. What was written of it is the caller's to remove.
  @inlinable
  public mutating func breakOff() { key = .none }
}

extension TangoTextWriter: ValueSink {
  /// Writes `nil`.
  @inlinable public mutating func null() { buffer.append("nil") }

  /// Writes `true` or `false`.
  @inlinable
  public mutating func boolean(_ value: Bool) {
    if value { buffer.append("true") } else { buffer.append("false") }
  }

  /// Writes decimal digits.
  @inlinable public mutating func integer(_ value: Int64) { buffer.append(decimal: value) }

  /// Writes the shortest decimal that reads back as the same float, and as a float.
  @inlinable
  public mutating func number(_ value: Double) {
    if value.magnitude < 0x1p53, let whole = value.wholeNumber, whole != 0 {
      buffer.append(decimal: whole)
      buffer.append(".0")
    } else {
      fraction(value)
    }
  }

  /// Writes a string in double quotes, or as a bare name where that is a key.
  @inlinable
  public mutating func string(_ bytes: UnsafeRawBufferPointer) {
    if key == .expected { name(bytes) } else { quoted(bytes) }
  }

  /// Writes `{`.
  @inlinable
  public mutating func beginTable(elements: Int, entries: Int) {
    key = .none
    buffer.append(UInt8(ascii: "{"))
  }

  /// Writes a comma, except after `{`.
  @inlinable
  public mutating func beginElement(_ index: Int) {
    // The last byte tells: no value ends with an opening brace.
    if buffer.last != UInt8(ascii: "{") { buffer.append(UInt8(ascii: ",")) }
  }

  /// Writes a comma, except after `{`, and `[`.
  @inlinable
  public mutating func beginKey() {
    beginElement(0)
    buffer.append(UInt8(ascii: "["))
    key = .expected
  }

  /// Writes `]=`, or `=` after a bare name.
  @inlinable
  public mutating func beginValue() {
    if key == .bare { buffer.append("=") } else { buffer.append("]=") }
    key = .none
  }

  /// Writes `}`.
  @inlinable public mutating func endTable() { buffer.append(UInt8(ascii: "}")) }
}

extension TangoTextWriter {
  @usableFromInline
  mutating func name(_ bytes: UnsafeRawBufferPointer) {
    guard isName(bytes) else { return quoted(bytes) }
    buffer.removeLast()
    buffer.append(bytes)
    key = .bare
  }

  /// Writes zero, a number with a fraction, a huge or a special one.
  @usableFromInline
  mutating func fraction(_ value: Double) {
    if value.isNaN { return buffer.append("0/0") }
    // A decimal out of range: the reader rounds it to infinity.
    if value.isInfinite { return buffer.append(value < 0 ? "-1e999" : "1e999") }
    var text = value.description
    text.withUTF8 { buffer.append(UnsafeRawBufferPointer($0)) }
  }
}
