import MilongaRPC
import Testing

@Suite struct ReferencesTests {
  @Test func `an object is found by its id until it is removed`() throws {
    var references = References<String>()
    let id = try references.insert("object")
    #expect(references[id] == "object")
    id.withHex { hex in
      #expect(references[hex] == "object")
      #expect(references.remove(hex) == "object")
      #expect(references[hex] == nil)
      #expect(references.remove(hex) == nil)
    }
    #expect(references.count == 0)
  }

  @Test func `ids are 32 digits, and no two are the same`() throws {
    var references = References<Int>()
    var ids: Set<String> = []
    for number in 0..<1000 {
      let id = try references.insert(number).description
      #expect(id.utf8.count == 32)
      #expect(id.allSatisfy { "0123456789abcdef".contains($0) })
      ids.insert(id)
      #expect(id.withBytes { references[$0] } == number)
    }
    #expect(ids.count == 1000)
  }

  @Test func `each insertion of an object has an id of its own`() throws {
    var references = References<String>()
    #expect(try references.insert("same") != references.insert("same"))
  }

  @Test func `an id survives being text`() {
    for _ in 0..<100 {
      let id = ReferenceID()
      #expect(id.withHex { ReferenceID(hex: $0) } == id)
    }
  }

  @Test func `what is not an id finds nothing`() throws {
    var references = References<Int>()
    let id = try references.insert(1).description
    let wrong = [
      "", "table: 0x55c8b05aa6e0", String(id.dropLast()), id + "0", " " + id.dropFirst(),
      String(repeating: "g", count: 32), String(repeating: "A", count: 32),
      String(repeating: "0", count: 32),
    ]
    for text in wrong {
      #expect(text.withBytes { references[$0] } == nil)
      #expect(text.withBytes { references.remove($0) } == nil)
    }
    #expect(references.count == 1)
  }

  @Test func `a connection has so many references and no more`() throws {
    var references = References<Int>(limit: 2)
    let first = try references.insert(1)
    _ = try references.insert(2)
    #expect(throws: ReferenceError.tooMany(limit: 2)) { try references.insert(3) }
    #expect(ReferenceError.tooMany(limit: 2).description.contains("2 references"))
    _ = first.withHex { references.remove($0) }
    _ = try references.insert(3)
    #expect(References<Int>().limit == 10_000)
  }

  @Test func `a connection that ends gives up all objects`() throws {
    var references = References<Int>()
    for number in 0..<5 { _ = try references.insert(number) }
    #expect(references.removeAll().sorted() == [0, 1, 2, 3, 4])
    #expect(references.count == 0)
    #expect(references.removeAll() == [])
  }
}
