import MilongaRPC
import RPCRuntime

/// Takes the values of a message: what is scalar goes straight to the elements, tables are built
/// first.
struct PeerElementsSink: GraphSink {
  let elements: MessageElements
  /// Why a value cannot be used; nil when all can.
  private(set) var refusal: ValueGraphBuilder.Refusal?
  private var builder: ValueGraphBuilder
  private var depth = 0

  init(_ elements: MessageElements, limit: Int) {
    self.elements = elements
    builder = ValueGraphBuilder(limit: limit)
  }

  mutating func null() { if depth == 0 { elements.null() } else { builder.null() } }

  mutating func boolean(_ value: Bool) {
    if depth == 0 { elements.boolean(value) } else { builder.boolean(value) }
  }

  mutating func integer(_ value: Int64) {
    if depth == 0 { elements.integer(value) } else { builder.integer(value) }
  }

  mutating func number(_ value: Double) {
    if depth == 0 { elements.number(value) } else { builder.number(value) }
  }

  mutating func string(_ bytes: UnsafeRawBufferPointer) {
    if depth == 0 { elements.string(bytes) } else { builder.string(bytes) }
  }

  mutating func function(_ bytes: UnsafeRawBufferPointer) {
    if depth > 0 { return builder.function(bytes) }
    refusal = refusal ?? .function
    elements.null()
  }

  mutating func beginTable(elements count: Int, entries: Int) {
    if depth == 0 { builder.beginTopLevelValue() }
    depth += 1
    builder.beginTable(elements: count, entries: entries)
  }

  mutating func keep(as number: Int) { if depth > 0 { builder.keep(as: number) } }
  mutating func reference(_ number: Int) { builder.reference(number) }
  mutating func endElement(_ index: Int) { builder.endElement(index) }
  mutating func beginValue() { builder.beginValue() }
  mutating func endEntry() { builder.endEntry() }

  mutating func endTable() {
    builder.endTable()
    depth -= 1
    guard depth == 0 else { return }
    refusal = refusal ?? builder.refusal
    if case .table(let table) = builder.value { elements.table(table) } else { elements.null() }
  }
}
