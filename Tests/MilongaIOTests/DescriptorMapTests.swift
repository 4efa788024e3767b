import MilongaIO
import MilongaTestSupport
import Testing

struct DescriptorMapTests {
  /// Carries the moves out on numbers: what a child with the descriptors 0 to 9 has in the end.
  private func result(of map: DescriptorMap) -> [Int32: Int32] {
    var files = Dictionary(uniqueKeysWithValues: (Int32(0)..<10).map { ($0, $0) })
    for move in map.moves {
      let file = files[move.from]
      #expect(file != nil, "nothing at \(move.from)")
      files[move.to] = file
    }
    let children = Set(map.entries.map(\.child))
    return files.filter { children.contains($0.key) }
  }

  @Test(arguments: [
    [:],
    [0: 0],
    [0: 1, 1: 0],
    [0: 1, 1: 2, 2: 0],
    [0: 1, 1: 1, 2: 1],
    [1: 2, 2: 1, 3: 2, 4: 2, 5: 6, 7: 8, 8: 7, 9: 9],
    [0: 1, 1: 0, 2: 3, 3: 2, 20: 0, 21: 3],
    [100: 0, 101: 100 - 95],
  ])
  func `nothing is overwritten before it is used`(_ entries: [Int32: Int32]) {
    #expect(result(of: DescriptorMap(entries)) == entries)
  }

  @Test func `random maps`() {
    var random = SeededGenerator(for: "descriptor maps")
    for _ in 0..<5000 {
      var entries: [Int32: Int32] = [:]
      for _ in 0..<random.below(12) {
        entries[Int32(random.below(12))] = Int32(random.below(10))
      }
      #expect(result(of: DescriptorMap(entries)) == entries)
    }
  }

  @Test func `entries are in the order of the child's numbers`() {
    let map = DescriptorMap([5: 1, 0: 7, 2: 2])
    #expect(map.entries.map(\.child) == [0, 2, 5])
    #expect(map.entries.map(\.parent) == [7, 2, 1])
    #expect(map.firstUnused == 8)
    #expect(DescriptorMap([:]).firstUnused == 0)
  }

  @Test func `a descriptor that stays is moved onto itself, to be inherited`() {
    #expect(DescriptorMap([3: 3]).moves.map { [$0.from, $0.to] } == [[3, 3]])
  }

  @Test func `a cycle takes one spare place`() {
    let moves = DescriptorMap([0: 1, 1: 2, 2: 0]).moves
    #expect(moves.filter { $0.to == DescriptorMap.spare }.count == 1)
    #expect(moves.count == 4)
  }
}
