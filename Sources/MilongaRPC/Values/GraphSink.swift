/// What receives values among which there may be functions, shared tables and cycles.
///
/// A table or function that may be referred to later is announced by ``keep(as:)``: right after
/// ``ValueSink/beginTable(elements:entries:)`` or ``function(_:)``. Those are numbered 1, 2, 3, ...
/// in each value; strings are not.
public protocol GraphSink: ValueSink, ~Copyable {
  /// A function, as source text or bytecode; the bytes are valid only during the call.
  mutating func function(_ bytes: UnsafeRawBufferPointer)

  /// The table that has just begun, or the function just sent, has this number.
  mutating func keep(as number: Int)

  /// The table or function with this number, again. A table may still be open: a cycle.
  mutating func reference(_ number: Int)

  /// A string that came before, again.
  ///
  /// - Parameters:
  ///   - bytes: valid only during the call.
  ///   - number: the same whenever this string comes again, and that of no other.
  mutating func string(_ bytes: UnsafeRawBufferPointer, again number: Int)
}

extension GraphSink where Self: ~Copyable {
  /// A string like any other.
  @inlinable
  public mutating func string(_ bytes: UnsafeRawBufferPointer, again number: Int) { string(bytes) }
}
