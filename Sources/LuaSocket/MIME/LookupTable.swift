/// A table that is computed once, when it is first asked for, and stays.
struct LookupTable<Entry: BitwiseCopyable>: @unchecked Sendable {
  private let entries: UnsafePointer<Entry>

  init(count: Int, _ entry: (Int) -> Entry) {
    let memory = UnsafeMutablePointer<Entry>.allocate(capacity: count)
    for index in 0..<count { memory.advanced(by: index).initialize(to: entry(index)) }
    entries = UnsafePointer(memory)
  }

  /// The entry at `index`, which must be in the table: nothing is checked.
  @inline(__always)
  subscript<Index: BinaryInteger>(index: Index) -> Entry { entries[Int(truncatingIfNeeded: index)] }
}
