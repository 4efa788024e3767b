/// What receives a stream of values.
///
/// A reader calls a sink while it parses, and a writer *is* a sink, so values go from bytes to the
/// Lua stack, to a ``Value`` tree or to other bytes with nothing in between. Each value is one
/// call, or, for a table, the calls
///
/// ```
/// beginTable
/// (beginElement value endElement | beginKey value beginValue value endEntry)*
/// endTable
/// ```
///
/// The brackets around elements and entries do nothing by default. A text writer needs those before
/// a value, a stack those after it.
///
/// A sink cannot fail: what it must refuse, it remembers, and its owner asks afterwards.
public protocol ValueSink: ~Copyable {
  /// What the sink wants to know of a table when it starts; nothing by default.
  static var tableShape: TableShape { get }

  /// The value nil.
  mutating func null()

  /// A boolean.
  mutating func boolean(_ value: Bool)

  /// An integer.
  mutating func integer(_ value: Int64)

  /// A float, possibly infinite or not a number.
  mutating func number(_ value: Double)

  /// A string of any bytes, which are valid only during the call.
  mutating func string(_ bytes: UnsafeRawBufferPointer)

  /// A table starts.
  ///
  /// The counts are hints for reserving memory, 0 when unknown and never trusted, unless the sink
  /// asks for more; see ``tableShape``.
  mutating func beginTable(elements: Int, entries: Int)

  /// The next value is positional element `index`; within a table they come as 1, 2, 3, ...
  mutating func beginElement(_ index: Int)

  /// The value of positional element `index` is complete.
  mutating func endElement(_ index: Int)

  /// The next value is the key of an entry.
  mutating func beginKey()

  /// The key is complete, and the next value belongs to it.
  mutating func beginValue()

  /// The key and its value are complete.
  mutating func endEntry()

  /// The table that started last is complete.
  mutating func endTable()

  /// Whether ``reference(_:)`` may be called. A reader refuses references otherwise, and a source
  /// of values has to refuse them itself.
  var takesReferences: Bool { get }

  /// A reference to a function or an object of one of the two ends (tango/2 with MessagePack).
  mutating func reference(_ reference: Tango2Reference)
}

extension ValueSink where Self: ~Copyable {
  /// ``TableShape/none``.
  @inlinable public static var tableShape: TableShape { .none }

  /// Does nothing.
  @inlinable public mutating func beginElement(_ index: Int) {}

  /// Does nothing.
  @inlinable public mutating func endElement(_ index: Int) {}

  /// Does nothing.
  @inlinable public mutating func beginKey() {}

  /// Does nothing.
  @inlinable public mutating func beginValue() {}

  /// Does nothing.
  @inlinable public mutating func endEntry() {}

  /// False.
  @inlinable public var takesReferences: Bool { false }

  /// Nil in its place; not called when ``takesReferences`` is false.
  @inlinable public mutating func reference(_ reference: Tango2Reference) { null() }
}
