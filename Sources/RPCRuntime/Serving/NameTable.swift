/// What names stand for, found by their bytes as they lie in a message.
package struct NameTable<Entry> {
  fileprivate struct Named {
    let name: [UInt8]
    var entry: Entry
  }

  fileprivate var buckets: [[Named]] = Array(repeating: [], count: 8)
  private(set) var count = 0

  /// The entry of a name; setting one anew replaces it.
  subscript(name: String) -> Entry? {
    get { Array(name.utf8).withUnsafeBytes { self[$0] } }
    set {
      let bytes = Array(name.utf8)
      let bucket = bytes.withUnsafeBytes { bucketIndex($0) }
      buckets[bucket].removeAll {
        guard $0.name == bytes else { return false }
        count -= 1
        return true
      }
      guard let newValue else { return }
      if count == 4 * buckets.count { grow() }
      let place = bytes.withUnsafeBytes { bucketIndex($0) }
      buckets[place].append(Named(name: bytes, entry: newValue))
      count += 1
    }
  }

  package subscript(name: UnsafeRawBufferPointer) -> Entry? {
    for candidate in buckets[bucketIndex(name)] where candidate.name.count == name.count {
      if candidate.name.withUnsafeBytes({ areEqual($0, name) }) { return candidate.entry }
    }
    return nil
  }

  /// The names, in alphabetical order.
  var names: [String] {
    buckets.joined().map { String(decoding: $0.name, as: UTF8.self) }.sorted()
  }

  /// FNV-1a. Names are the program's own, so that no peer can choose bad ones.
  private func bucketIndex(_ name: UnsafeRawBufferPointer) -> Int {
    var hash: UInt32 = 0x811c_9dc5
    for byte in name { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    return Int(hash) & (buckets.count - 1)
  }

  private mutating func grow() {
    let all = buckets.joined()
    buckets = Array(repeating: [], count: 2 * buckets.count)
    for named in all {
      let place = named.name.withUnsafeBytes { bucketIndex($0) }
      buckets[place].append(named)
    }
  }
}

/// Whether two runs of the same length are the same.
private func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
  for index in 0..<a.count where a[index] != b[index] { return false }
  return true
}

extension NameTable: Sendable where Entry: Sendable {}
extension NameTable.Named: Sendable where Entry: Sendable {}
