/// A place in what a server offers: a Lua table, a set of Swift functions.
///
/// A cursor starts at the root. For a write its owner needs the table and the name of the last
/// step, so a cursor that supports writing remembers them.
public protocol NamespaceCursor: ~Copyable {
  /// Goes from the current value, if it is a table, to what it has at `name`, which may be nothing.
  ///
  /// - Returns: False when the current value is not a table.
  mutating func descend(_ name: UnsafeRawBufferPointer) -> Bool

  /// Whether the current value is a function.
  var isCallable: Bool { get }
}
