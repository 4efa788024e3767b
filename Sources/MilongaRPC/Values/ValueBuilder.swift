/// A sink that builds a ``Value`` tree, or the elements of a message as trees.
public struct ValueBuilder: MessageSink {
  /// The value that was completed last; nil at first.
  public private(set) var value: Value = .null

  /// The elements of the message; holes are nil.
  public private(set) var message: [Value] = []

  // A key waits here, outside its table, while its value is built.
  private struct OpenTable {
    var table: Table
    var key: Value = .null
  }

  private var open: [OpenTable] = []

  /// A builder without values.
  public init() {}

  /// Keeps nil.
  public mutating func null() { value = .null }

  /// Keeps a boolean.
  public mutating func boolean(_ value: Bool) { self.value = .boolean(value) }

  /// Keeps an integer.
  public mutating func integer(_ value: Int64) { self.value = .integer(value) }

  /// Keeps a float.
  public mutating func number(_ value: Double) { self.value = .number(value) }

  /// Keeps a copy of a string.
  public mutating func string(_ bytes: UnsafeRawBufferPointer) {
    value = .string(ByteString(bytes))
  }

  /// Keeps a value that is one already.
  mutating func value(_ value: Value) { self.value = value }

  /// Opens a table.
  public mutating func beginTable(elements: Int, entries: Int) {
    open.append(OpenTable(table: Table()))
  }

  /// Adds the value to the open table.
  public mutating func endElement(_ index: Int) {
    open[open.count - 1].table.elements.append(value)
  }

  /// Remembers the value as a key.
  public mutating func beginValue() { open[open.count - 1].key = value }

  /// Adds the remembered key and the value to the open table.
  public mutating func endEntry() {
    let last = open.count - 1
    open[last].table.entries.append(Table.Entry(key: open[last].key, value: value))
  }

  /// Makes the open table the value.
  public mutating func endTable() { value = .table(open.removeLast().table) }

  /// Makes the value an element of the message.
  public mutating func endMessageElement(at index: Int) {
    while message.count < index { message.append(.null) }
    message[index - 1] = value
  }

  /// Drops the value.
  public mutating func discardMessageEntry() { value = .null }
}
