/// The contents of a table as it was written: positional elements, and entries with keys.
///
/// `{"f", [4]=3, a=1}` has one element and two entries. Entries keep their order, and equality is
/// sensitive to it.
public struct Table: Sendable, Hashable {
  /// A key and its value.
  public struct Entry: Sendable, Hashable {
    /// The key; neither nil nor not-a-number in a table that came from a reader.
    public var key: Value

    /// The value.
    public var value: Value

    /// An entry.
    @inlinable
    public init(key: Value, value: Value) {
      self.key = key
      self.value = value
    }
  }

  /// The values of the indexes 1, 2, 3, ...; nil may be among them.
  public var elements: [Value]

  /// All other keys and their values.
  public var entries: [Entry]

  /// A table of these elements and entries.
  @inlinable
  public init(elements: [Value] = [], entries: [Entry] = []) {
    self.elements = elements
    self.entries = entries
  }

  /// What Lua finds at `key`: an element, or else the value of the last entry with this key.
  ///
  /// It is nil for a key that is absent. Takes time in proportion to the number of entries.
  public subscript(key: Value) -> Value {
    if case .integer(let index) = key, index >= 1, index <= elements.count {
      return elements[Int(index) - 1]
    }
    return entries.last { $0.key == key }?.value ?? .null
  }

  /// What Lua finds at the string `name`; see the subscript by value.
  public subscript(name: String) -> Value { self[.string(ByteString(name))] }

  /// What Lua finds at the integer `index`, the first element being 1; see the subscript by value.
  public subscript(index: Int) -> Value { self[.integer(Int64(index))] }

  @inlinable
  func write<Sink: ValueSink & ~Copyable>(to sink: inout Sink) {
    sink.beginTable(elements: elements.count, entries: entries.count)
    for (offset, element) in elements.enumerated() {
      sink.beginElement(offset + 1)
      element.write(to: &sink)
      sink.endElement(offset + 1)
    }
    for entry in entries where entry.key.isKey {
      sink.beginKey()
      entry.key.write(to: &sink)
      sink.beginValue()
      entry.value.write(to: &sink)
      sink.endEntry()
    }
    sink.endTable()
  }
}
