/// Which descriptors a child gets: numbers in the child, and the parent's descriptors that appear
/// there.
///
/// Duplicating them one after the other would overwrite some before they are used (`0` from `1`,
/// `1` from `0`), so ``moves`` puts them into an order in which nothing is lost.
package struct DescriptorMap: Sendable {
  /// The numbers in the child, ascending, each with the parent's descriptor.
  package let entries: [(child: Int32, parent: Int32)]

  /// - Parameter entries: by the numbers in the child; both are 0 or more.
  package init(_ entries: [Int32: Int32]) {
    self.entries = entries.sorted { $0.key < $1.key }.map { (child: $0.key, parent: $0.value) }
  }

  /// Descriptor `to` becomes a duplicate of `from`; ``spare`` stands for a number that is not in
  /// use.
  package struct Move: Equatable, Sendable {
    package let from: Int32
    package let to: Int32
  }

  /// The place that the members of a cycle are moved around; at that time every number that the
  /// child gets is taken, so that any free one will do.
  package static let spare: Int32 = -1

  /// A number above all descriptors that the moves begin with.
  package var firstUnused: Int32 { (entries.map(\.parent).max() ?? -1) + 1 }

  /// The same map after those of the parent's descriptors that `places` knows have moved there.
  func moving(_ places: [Int32: Int32]) -> DescriptorMap {
    DescriptorMap(
      Dictionary(
        uniqueKeysWithValues: entries.map { ($0.child, places[$0.parent] ?? $0.parent) }))
  }

  /// What to do, in this order. A descriptor that stays where it is moves onto itself.
  package var moves: [Move] {
    var moves: [Move] = []
    var source: [Int32: Int32] = [:]
    /// How many are still to be made from a descriptor.
    var readers: [Int32: Int] = [:]
    for entry in entries {
      if entry.child == entry.parent {
        moves.append(Move(from: entry.parent, to: entry.child))
      } else {
        source[entry.child] = entry.parent
        readers[entry.parent, default: 0] += 1
      }
    }
    // One that is not needed any more may be overwritten, which in turn may set another free.
    var free = entries.map(\.child).filter { source[$0] != nil && readers[$0] == nil }
    func makeAllFree() {
      while let child = free.popLast() {
        let parent = source.removeValue(forKey: child)!
        moves.append(Move(from: parent, to: child))
        readers[parent]! -= 1
        if readers[parent] == 0 {
          readers[parent] = nil
          if source[parent] != nil { free.append(parent) }
        }
      }
    }
    makeAllFree()
    // What is left are cycles. Each is cut where it is first met.
    for entry in entries where source[entry.child] != nil {
      moves.append(Move(from: entry.child, to: Self.spare))
      let reader = source.first { $0.value == entry.child }!.key
      source[reader] = Self.spare
      readers[Self.spare] = 1
      readers[entry.child] = nil
      free = [entry.child]
      makeAllFree()
    }
    return moves
  }
}
