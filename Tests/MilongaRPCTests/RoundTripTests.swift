import MilongaRPC
import MilongaTestSupport
import Testing

@Suite struct RoundTripTests {
  @Test func `what is written reads back the same`() throws {
    var generator = SeededGenerator(for: "round trip")
    for _ in 0..<3000 {
      let tree = generator.value(depth: 4)
      let read = try value(bytes(tree))
      #expect(identical(read, tree), "\(tree) became \(read)")
    }
  }

  @Test func `messages read back the same`() throws {
    var generator = SeededGenerator(for: "message round trip")
    for _ in 0..<1000 {
      let elements = (0..<generator.below(6)).map { _ in generator.value() }
      let read = try message(bytes(.table(Table(elements: elements))))
      #expect(read.count == elements.count && zip(read, elements).allSatisfy(identical))
    }
  }

  @Test func `every float reads back to the last bit`() throws {
    var generator = SeededGenerator(for: "floats")
    for _ in 0..<20_000 {
      let number = Value.number(Double(bitPattern: generator.next()))
      let read = try value(bytes(number))
      #expect(identical(read, number), "\(number) became \(read)")
    }
  }

  @Test func `decimals round as the standard library rounds them`() throws {
    var generator = SeededGenerator(for: "decimals")
    for _ in 0..<20_000 {
      var text = String(generator.next() >> UInt64(generator.below(64)))
      if generator.below(2) == 0 { text += ".\(generator.next() >> UInt64(generator.below(64)))" }
      text += "e\(generator.below(60) - 30)"
      #expect(try value(text) == .number(Double(text)!), "\(text)")
    }
  }
}
