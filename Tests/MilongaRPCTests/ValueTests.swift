import MilongaRPC
import MilongaTestSupport
import Testing

@Suite struct ValueTests {
  @Test func `literals`() {
    #expect((nil as Value) == .null)
    #expect((true as Value) == .boolean(true))
    #expect((1 as Value) == .integer(1))
    #expect((1.0 as Value) == .number(1))
    #expect(("x" as Value) == .string(ByteString([120])))
    #expect(([1] as Value) == .table(Table(elements: [.integer(1)])))
    #expect(
      (["a": 1] as Value)
        == .table(Table(entries: [.init(key: .string("a"), value: .integer(1))])))
    #expect((1 as Value) != (1.0 as Value))
  }

  @Test func `a description is a Lua literal`() {
    let table = Table(elements: [1, "two", nil], entries: [.init(key: "three", value: 3.0)])
    #expect(Value.table(table).description == #"{1,"two",nil,three=3.0}"#)
    #expect(Value.string("é\n").description == #""é\n""#)
    #expect(Value.string(ByteString([0xFF, 65])).description == #""\255A""#)
    #expect(ByteString("text").description == "text")
  }

  @Test func `looking up what Lua finds`() throws {
    let table = Table(
      elements: ["first", nil],
      entries: [
        .init(key: 1, value: "hidden"), .init(key: "a", value: 1), .init(key: "a", value: 2),
        .init(key: 4, value: "fourth"),
      ])
    #expect(table[1] == "first")
    #expect(table[2 as Int] == nil)
    #expect(table[4 as Int] == "fourth")
    #expect(table[0 as Int] == nil)
    #expect(table["a" as String] == 2)
    #expect(table["b" as String] == nil)
    #expect(table[.boolean(true)] == nil)
  }
}

@Suite struct ValueBuilderTests {
  @Test func `a later element replaces an earlier one of the same index`() {
    var builder = ValueBuilder()
    builder.integer(1)
    builder.endMessageElement(at: 2)
    builder.integer(2)
    builder.endMessageElement(at: 1)
    builder.integer(3)
    builder.endMessageElement(at: 2)
    builder.integer(4)
    builder.discardMessageEntry()
    #expect(builder.message == [2, 3])
  }

  @Test func `a tree written to a builder is the same tree`() {
    var generator = SeededGenerator(for: "builder")
    for _ in 0..<300 {
      let value = generator.value(depth: 4)
      var builder = ValueBuilder()
      value.write(to: &builder)
      #expect(identical(builder.value, value))
    }
  }
}
