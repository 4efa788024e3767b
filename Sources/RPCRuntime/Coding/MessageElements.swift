package import MilongaRPC

/// The elements of a message that was read: scalars as they are, strings where they lie in the
/// message, tables as trees. One object serves all messages of a connection, so that reading one
/// takes no memory.
package final class MessageElements: MessageSink {
  package enum Element {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    /// A range of ``text``.
    case string(offset: Int, count: Int)
    case table(Table)
    /// What a protocol sends by reference: an object of this side, or what stands for one of the
    /// other side.
    case object(any AnyObject & Sendable)
  }

  package init() {}

  /// The first ``count`` are the message's; the places of the rest wait to be used again.
  private var elements: [Element] = []
  package private(set) var count = 0
  private var current = Element.null
  /// Whether elements hold objects, which go with the message.
  private var holdsObjects = false
  /// The bytes of the strings that are elements.
  private var text = OutputBuffer()
  /// Builds the table that is open, if there is one.
  private var builder = ValueBuilder()
  private var depth = 0

  package func removeAll() {
    // One huge message must not pin its memory for good.
    if holdsObjects || elements.count > 64 { elements.removeAll(keepingCapacity: count <= 64) }
    holdsObjects = false
    count = 0
    current = .null
    text.truncate(to: 0)
    text.shrink(keeping: mostKept)
    depth = 0
  }

  /// Releases what is worth it, when the message has been dealt with.
  package func letGo() { if holdsObjects || text.capacity > mostKept { removeAll() } }

  package func null() { if depth == 0 { current = .null } else { builder.null() } }

  package func boolean(_ value: Bool) {
    if depth == 0 { current = .boolean(value) } else { builder.boolean(value) }
  }

  package func integer(_ value: Int64) {
    if depth == 0 { current = .integer(value) } else { builder.integer(value) }
  }

  package func number(_ value: Double) {
    if depth == 0 { current = .number(value) } else { builder.number(value) }
  }

  package func string(_ bytes: UnsafeRawBufferPointer) {
    guard depth == 0 else { return builder.string(bytes) }
    current = .string(offset: text.count, count: bytes.count)
    text.append(bytes)
  }

  package func beginTable(elements: Int, entries: Int) {
    if depth == 0 { builder = ValueBuilder() }
    depth += 1
    builder.beginTable(elements: elements, entries: entries)
  }

  package func beginElement(_ index: Int) { if depth > 0 { builder.beginElement(index) } }
  package func endElement(_ index: Int) { if depth > 0 { builder.endElement(index) } }
  package func beginKey() { if depth > 0 { builder.beginKey() } }
  package func beginValue() { if depth > 0 { builder.beginValue() } }
  package func endEntry() { if depth > 0 { builder.endEntry() } }

  package func endTable() {
    builder.endTable()
    depth -= 1
    if depth == 0, case .table(let table) = builder.value {
      self.table(table)
      builder = ValueBuilder()
    }
  }

  /// A table that was built elsewhere.
  package func table(_ table: Table) {
    current = .table(table)
    holdsObjects = true
  }

  /// An object by reference.
  package func object(_ object: any AnyObject & Sendable) {
    current = .object(object)
    holdsObjects = true
  }

  package func endMessageElement(at index: Int) {
    // Those that a message leaves out are null.
    while count < index - 1 { store(.null, at: count) }
    store(current, at: index - 1)
  }

  private func store(_ element: Element, at index: Int) {
    if index < elements.count { elements[index] = element } else { elements.append(element) }
    count = max(count, index + 1)
  }

  package func discardMessageEntry() {}

  // MARK: Reading

  /// The element, the first being 0; null behind the last.
  package subscript(index: Int) -> Element { index < count ? elements[index] : .null }

  /// Gives `body` the bytes of a string element.
  package func withString<R>(
    _ offset: Int, _ count: Int, _ body: (UnsafeRawBufferPointer) throws -> R
  ) rethrows -> R {
    try text.withUnsafeBytes {
      try body(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
    }
  }

  /// The element as a tree; nil for an object, which has no tree.
  package func value(at index: Int) -> Value {
    switch self[index] {
    case .null: .null
    case .boolean(let value): .boolean(value)
    case .integer(let value): .integer(value)
    case .number(let value): .number(value)
    case .string(let offset, let count): withString(offset, count) { .string(ByteString($0)) }
    case .table(let table): .table(table)
    case .object: .null
    }
  }
}

/// Bytes of text for which the memory is kept from one message to the next.
private let mostKept = 64 << 10
