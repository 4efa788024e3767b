import RPC

/// The elements of a message that was read: scalars as they are, strings where they lie in the message,
/// tables as trees. One object serves all messages of a connection, so that reading one takes no memory.
final class MessageElements: MessageSink {
  enum Element {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    /// A range of ``text``.
    case string(offset: Int, count: Int)
    case table(Table)
  }

  private(set) var elements: [Element] = []
  private var current = Element.null
  /// The bytes of the strings that are elements.
  private(set) var text: [UInt8] = []
  /// Builds the table that is open, if there is one.
  private var builder = ValueBuilder()
  private var depth = 0

  func removeAll() {
    elements.removeAll(keepingCapacity: true)
    // One huge message must not pin its memory for good.
    if text.capacity > 64 << 10 { text = [] } else { text.removeAll(keepingCapacity: true) }
    depth = 0
  }

  func null() { if depth == 0 { current = .null } else { builder.null() } }

  func boolean(_ value: Bool) {
    if depth == 0 { current = .boolean(value) } else { builder.boolean(value) }
  }

  func integer(_ value: Int64) {
    if depth == 0 { current = .integer(value) } else { builder.integer(value) }
  }

  func number(_ value: Double) {
    if depth == 0 { current = .number(value) } else { builder.number(value) }
  }

  func string(_ bytes: UnsafeRawBufferPointer) {
    guard depth == 0 else { return builder.string(bytes) }
    current = .string(offset: text.count, count: bytes.count)
    text.append(contentsOf: bytes)
  }

  func beginTable(elements: Int, entries: Int) {
    if depth == 0 { builder = ValueBuilder() }
    depth += 1
    builder.beginTable(elements: elements, entries: entries)
  }

  func beginElement(_ index: Int) { if depth > 0 { builder.beginElement(index) } }
  func endElement(_ index: Int) { if depth > 0 { builder.endElement(index) } }
  func beginKey() { if depth > 0 { builder.beginKey() } }
  func beginValue() { if depth > 0 { builder.beginValue() } }
  func endEntry() { if depth > 0 { builder.endEntry() } }

  func endTable() {
    builder.endTable()
    depth -= 1
    if depth == 0, case .table(let table) = builder.value { current = .table(table) }
  }

  func endMessageElement(at index: Int) {
    while elements.count < index { elements.append(.null) }
    elements[index - 1] = current
  }

  func discardMessageEntry() {}

  // MARK: Reading

  var count: Int { elements.count }

  /// The element, the first being 0; null behind the last.
  subscript(index: Int) -> Element { index < elements.count ? elements[index] : .null }

  /// Gives `body` the bytes of a string element.
  func withString<R>(
    _ offset: Int, _ count: Int, _ body: (UnsafeRawBufferPointer) throws -> R
  ) rethrows -> R {
    try text.withUnsafeBytes {
      try body(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
    }
  }

  /// The element as a tree.
  func value(at index: Int) -> Value {
    switch self[index] {
    case .null: .null
    case .boolean(let value): .boolean(value)
    case .integer(let value): .integer(value)
    case .number(let value): .number(value)
    case .string(let offset, let count): .string(ByteString(text[offset..<offset + count]))
    case .table(let table): .table(table)
    }
  }
}
