import CMilongaMemory

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The numbers of the strings, tables and functions that were written, by their identity or
/// content.
///
/// An open hash table that is forgotten, not cleared, between two values: an entry counts only in
/// its generation.
@usableFromInline
struct ObjectNumbers: ~Copyable {
  @usableFromInline
  struct Entry {
    /// An address; or the highest bit, 31 bits of the content's hash and 32 bits that say where the
    /// string lies in the output.
    @usableFromInline var key: UInt64 = 0
    @usableFromInline var generation: UInt32 = 0
    @usableFromInline var number: UInt32 = 0

    @inlinable init() {}
  }

  @usableFromInline var entries: UnsafeMutablePointer<Entry>?
  @usableFromInline var mask = 0
  @usableFromInline var used = 0
  @usableFromInline var generation: UInt32 = 1
  /// How many objects have begun; the last one has this number.
  @usableFromInline var count = 0
  /// Random, so that a peer cannot choose strings that share a place.
  @usableFromInline let seed = UInt64.random(in: 0...UInt64.max) | 1

  private static var smallest: Int { 64 }
  private static var largestKept: Int { 1 << 17 }

  @inlinable init() {}

  /// An object has no number, because there was no memory for it.
  @usableFromInline private(set) var lacksMemory = false

  @inlinable deinit { Self.release(entries) }

  @usableFromInline
  static func release(_ entries: UnsafeMutablePointer<Entry>?) { free(entries) }

  /// Begins with another value.
  @inlinable
  mutating func forget() {
    if count != 0 { startOver() }
  }

  @usableFromInline
  mutating func startOver() {
    count = 0
    used = 0
    lacksMemory = false
    if mask >= Self.largestKept {
      free(entries)
      entries = nil
      mask = 0
    }
    if generation == .max {
      generation = 0
      for index in 0...mask { entries?[index] = Entry() }
    }
    generation += 1
  }

  /// The number of the object with this address; nil when it is new, and then it has the next one.
  @inlinable
  mutating func number(of address: UnsafeRawPointer) -> Int? {
    let key = UInt64(UInt(bitPattern: address))
    guard used &* 4 < mask &* 3 || grow() else { return nil }
    let entries = self.entries.unsafelyUnwrapped
    var slot = slot(key)
    while entries[slot].generation == generation {
      if entries[slot].key == key { return Int(entries[slot].number) }
      slot = (slot &+ 1) & mask
    }
    insert(key, at: slot)
    return nil
  }

  /// The number of the string with these bytes; nil when it is new, and then it has the next one.
  ///
  /// - Parameters:
  ///   - place: where the string will lie in the output.
  ///   - isEqual: compares the string with what lies at a place of the output.
  @inlinable
  mutating func number(
    of bytes: UnsafeRawBufferPointer, place: Int, isEqual: (Int) -> Bool
  ) -> Int? {
    // An address has not the highest bit: the two kinds of keys differ.
    let key = hash(bytes) & ~0xFFFF_FFFF | 1 << 63 | UInt64(UInt32(truncatingIfNeeded: place))
    guard used &* 4 < mask &* 3 || grow() else { return nil }
    let entries = self.entries.unsafelyUnwrapped
    var slot = slot(key)
    while entries[slot].generation == generation {
      let known = entries[slot].key
      if (known ^ key) >> 32 == 0, isEqual(Int(known & 0xFFFF_FFFF)) {
        return Int(entries[slot].number)
      }
      slot = (slot &+ 1) & mask
    }
    insert(key, at: slot)
    return nil
  }

  @inlinable
  mutating func insert(_ key: UInt64, at slot: Int) {
    count &+= 1
    used &+= 1
    var entry = Entry()
    entry.key = key
    entry.generation = generation
    entry.number = UInt32(truncatingIfNeeded: count)
    entries.unsafelyUnwrapped[slot] = entry
  }

  /// Where a key is looked for first. The place of content does not count: the same content may lie
  /// anywhere.
  @inlinable
  func slot(_ key: UInt64) -> Int {
    let significant = key >> 63 == 0 ? key : key >> 32
    return Int(truncatingIfNeeded: (significant &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
  }

  @inlinable
  func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = seed ^ UInt64(bytes.count)
    var index = 0
    while bytes.count - index >= 8 {
      let product = (hash ^ bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
        .multipliedFullWidth(by: 0x9FB2_1C65_1E98_DF25)
      hash = product.high ^ product.low &+ seed
      index += 8
    }
    var rest: UInt64 = 0
    while index < bytes.count {
      rest = rest << 8 | UInt64(bytes[index])
      index += 1
    }
    let product = (hash ^ rest).multipliedFullWidth(by: 0x9FB2_1C65_1E98_DF25)
    return product.high ^ product.low
  }

  /// Twice the room; false when there is no memory for it.
  @usableFromInline
  mutating func grow() -> Bool {
    let old = entries
    let oldMask = mask
    let size = old == nil ? Self.smallest : 2 * (mask + 1)
    guard let memory = milonga_allocate(size * MemoryLayout<Entry>.stride) else {
      lacksMemory = true
      count += 1
      return false
    }
    let larger = memory.bindMemory(to: Entry.self, capacity: size)
    larger.initialize(repeating: Entry(), count: size)
    mask = size - 1
    if let old {
      for index in 0...oldMask where old[index].generation == generation {
        var slot = slot(old[index].key)
        while larger[slot].generation == generation { slot = (slot + 1) & mask }
        larger[slot] = old[index]
      }
      free(old)
    }
    entries = larger
    return true
  }
}
