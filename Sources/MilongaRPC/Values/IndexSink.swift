/// Remembers a value if it is an integer, as Lua sees it in a key: 4.0 is 4.
struct IndexSink: ValueSink {
  var index: Int64?
  private var depth = 0

  mutating func null() {}
  mutating func boolean(_ value: Bool) {}
  mutating func integer(_ value: Int64) { if depth == 0 { index = value } }
  mutating func number(_ value: Double) { if depth == 0 { index = value.wholeNumber } }
  mutating func string(_ bytes: UnsafeRawBufferPointer) {}
  mutating func beginTable(elements: Int, entries: Int) { depth += 1 }
  mutating func endTable() { depth -= 1 }
}
