public import MilongaRPC

/// The elements of a message that was read: scalars as they are, strings where they lie in the
/// message, tables as trees. One object serves all messages of a connection, so that reading one
/// takes no memory.
@usableFromInline
package final class MessageElements: MessageSink {
  /// It holds no object itself, so that writing one over another costs a copy and nothing else.
  @usableFromInline
  package enum Element {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    /// A range of ``text``.
    case string(offset: Int, count: Int)
    /// The place of a table in ``tables``.
    case table(Int)
    /// The place in ``objects`` of what a protocol sends by reference: an object of this side, or
    /// what stands for one of the other side.
    case object(Int)
  }

  package init() {}

  /// The first ``count`` are the message's; the places of the rest wait to be used again.
  @usableFromInline var elements: [Element] = []
  @usableFromInline package private(set) var count = 0
  private var current = Element.null
  private var tables: [Table] = []
  @usableFromInline private(set) var objects: [any AnyObject & Sendable] = []
  /// The bytes of the strings that are elements.
  private var text = OutputBuffer()
  /// Builds the table that is open, if there is one.
  private var builder = ValueBuilder()
  private var depth = 0

  package func removeAll() {
    // One huge message must not pin its memory for good.
    if elements.count > 64 { elements.removeAll(keepingCapacity: count <= 64) }
    if holdsObjects { releaseObjects() }
    count = 0
    current = .null
    text.truncate(to: 0)
    text.shrink(keeping: mostKept)
    depth = 0
  }

  /// Whether elements hold objects, which go with the message.
  private var holdsObjects: Bool { !tables.isEmpty || !objects.isEmpty }

  private func releaseObjects() {
    // What goes here may come back to read another message.
    let (tables, objects) = (self.tables, self.objects)
    (self.tables, self.objects) = ([], [])
    withExtendedLifetime((tables, objects)) {}
  }

  /// Releases what is worth it, when the message has been dealt with.
  package func letGo() { if holdsObjects || text.capacity > mostKept { removeAll() } }

  @usableFromInline package func null() {
    if depth == 0 { current = .null } else { builder.null() }
  }

  @usableFromInline package func boolean(_ value: Bool) {
    if depth == 0 { current = .boolean(value) } else { builder.boolean(value) }
  }

  @usableFromInline package func integer(_ value: Int64) {
    if depth == 0 { current = .integer(value) } else { builder.integer(value) }
  }

  @usableFromInline package func number(_ value: Double) {
    if depth == 0 { current = .number(value) } else { builder.number(value) }
  }

  @usableFromInline package func string(_ bytes: UnsafeRawBufferPointer) {
    guard depth == 0 else { return builder.string(bytes) }
    current = .string(offset: text.count, count: bytes.count)
    text.append(bytes)
  }

  @usableFromInline package func beginTable(elements: Int, entries: Int) {
    if depth == 0 { builder = ValueBuilder() }
    depth += 1
    builder.beginTable(elements: elements, entries: entries)
  }

  @usableFromInline package func beginElement(_ index: Int) {
    if depth > 0 { builder.beginElement(index) }
  }
  @usableFromInline package func endElement(_ index: Int) {
    if depth > 0 { builder.endElement(index) }
  }
  @usableFromInline package func beginKey() { if depth > 0 { builder.beginKey() } }
  @usableFromInline package func beginValue() { if depth > 0 { builder.beginValue() } }
  @usableFromInline package func endEntry() { if depth > 0 { builder.endEntry() } }

  @usableFromInline package func endTable() {
    builder.endTable()
    depth -= 1
    if depth == 0, case .table(let table) = builder.value {
      self.table(table)
      builder = ValueBuilder()
    }
  }

  /// A table that was built elsewhere.
  package func table(_ table: Table) {
    current = .table(tables.count)
    tables.append(table)
  }

  /// An object by reference.
  package func object(_ object: any AnyObject & Sendable) {
    current = .object(objects.count)
    objects.append(object)
  }

  @usableFromInline package func endMessageElement(at index: Int) {
    // Those that a message leaves out are null.
    while count < index - 1 { store(.null, at: count) }
    store(current, at: index - 1)
  }

  private func store(_ element: Element, at index: Int) {
    if index < elements.count { elements[index] = element } else { elements.append(element) }
    count = max(count, index + 1)
  }

  @usableFromInline package func discardMessageEntry() {}

  // MARK: Reading

  /// The element, the first being 0; null behind the last.
  @inlinable
  package subscript(index: Int) -> Element { index < count ? elements[index] : .null }

  /// The object of an element; nil when the element is none.
  package func object(at index: Int) -> (any AnyObject & Sendable)? {
    if case .object(let place) = self[index] { objects[place] } else { nil }
  }

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
    case .table(let place): .table(tables[place])
    case .object: .null
    }
  }
}

/// Bytes of text for which the memory is kept from one message to the next.
private let mostKept = 64 << 10
