/// Entries by the ids of calls: a hash table with linear probing, at most half full.
///
/// Ids that follow each other lie beside each other, so that the usual look-up is one comparison.
/// An entry that is far from its home goes before one that is nearer to its own ("Robin Hood"): so
/// the usual removal looks at one place, too, however many entries follow.
@usableFromInline
struct Tango2CallTable<Entry> {
  /// 0 where there is no entry: no call has that id.
  @usableFromInline var ids: ContiguousArray<UInt32> = []
  @usableFromInline var entries: ContiguousArray<Entry?> = []
  @usableFromInline private(set) var count = 0

  @inlinable
  init() {}

  @inlinable var isEmpty: Bool { count == 0 }

  @inlinable
  subscript(id: UInt32) -> Entry? {
    guard let place = place(of: id) else { return nil }
    return entries[place]
  }

  @inlinable
  func contains(_ id: UInt32) -> Bool { place(of: id) != nil }

  /// Where the entry is; nil when there is none.
  @inlinable
  func place(of id: UInt32) -> Int? {
    guard count > 0, id != 0 else { return nil }
    var place = home(of: id)
    while ids[place] != id {
      guard ids[place] != 0 else { return nil }
      place = (place + 1) & (ids.count - 1)
    }
    return place
  }

  /// Adds an entry for an id that has none.
  @inlinable
  mutating func insert(_ entry: Entry, for id: UInt32) {
    if (count + 1) * 2 > ids.count { grow() }
    place(entry, id)
    count += 1
  }

  /// Removes the entry in a place.
  @inlinable
  mutating func remove(at found: Int) -> Entry {
    let entry = entries[found].take().unsafelyUnwrapped
    count -= 1
    // What has been placed behind for want of this place moves up.
    let mask = ids.count - 1
    var hole = found
    var next = (hole + 1) & mask
    while ids[next] != 0, home(of: ids[next]) != next {
      ids[hole] = ids[next]
      entries[hole] = entries[next].take()
      hole = next
      next = (next + 1) & mask
    }
    ids[hole] = 0
    return entry
  }

  /// Removes all; the ids and entries, in no order.
  mutating func removeAll() -> [(id: UInt32, entry: Entry)] {
    let all = ids.indices.compactMap { place in
      ids[place] == 0 ? nil : (id: ids[place], entry: entries[place]!)
    }
    self = Tango2CallTable()
    return all
  }

  @inlinable
  func home(of id: UInt32) -> Int { Int(id >> 1) & (ids.count - 1) }

  @inlinable
  mutating func place(_ entry: Entry, _ id: UInt32) {
    let place = home(of: id)
    guard ids[place] == 0 else { return placeBehind(entry, id) }
    ids[place] = id
    entries[place] = entry
  }

  /// Places an entry whose home is taken.
  @usableFromInline
  mutating func placeBehind(_ entry: Entry, _ id: UInt32) {
    let mask = ids.count - 1
    var (id, moving) = (id, Entry?.some(entry))
    var place = home(of: id)
    var distance = 0
    while ids[place] != 0 {
      let other = (place - home(of: ids[place])) & mask
      if other < distance {
        swap(&ids[place], &id)
        swap(&entries[place], &moving)
        distance = other
      }
      place = (place + 1) & mask
      distance += 1
    }
    ids[place] = id
    entries[place] = moving
  }

  @inlinable
  mutating func grow() {
    let (oldIDs, oldEntries) = (ids, entries)
    let size = max(8, oldIDs.count * 2)
    ids = ContiguousArray(repeating: 0, count: size)
    entries = ContiguousArray(repeating: nil, count: size)
    for place in oldIDs.indices where oldIDs[place] != 0 {
      self.place(oldEntries[place]!, oldIDs[place])
    }
  }
}

extension Tango2CallTable: Sendable where Entry: Sendable {}
