import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// The table of calls, compared with a dictionary.
@Suite("calls by their ids")
struct Tango2CallTableTests {
  @Test func `the table is a dictionary`() {
    var generator = SeededGenerator(for: "tango/2 call table")
    var table = Tango2CallTable<Int>()
    var model: [UInt32: Int] = [:]
    for step in 0..<20_000 {
      // Many ids have the same home.
      let id = UInt32(generator.below(12) * 512 + generator.below(12) * 2 + 1)
      if let place = table.place(of: id) {
        if table.remove(at: place) != model.removeValue(forKey: id) { Issue.record("\(id)") }
      } else if model.count < 100 {
        if model[id] != nil { Issue.record("\(id) is not found") }
        table.insert(step, for: id)
        model[id] = step
      }
      if table.count != model.count { Issue.record("\(table.count) of \(model.count)") }
      if step % 100 == 0 { for (id, value) in model { #expect(table[id] == value) } }
    }
    #expect(Dictionary(uniqueKeysWithValues: table.removeAll().map { ($0.id, $0.entry) }) == model)
    #expect(table.isEmpty && table[1] == nil)
  }
}
