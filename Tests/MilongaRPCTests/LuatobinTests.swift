import MilongaRPC
import MilongaTestSupport
import Testing

/// luatobin against bytes that the original has written.
@Suite struct LuatobinTests {
  /// Bytes of the original, and what they mean. Reading gives the value, writing the value gives
  /// the bytes.
  static let golden: [(hex: String, value: Value)] = [
    ("00", nil),
    ("0101", true),
    ("0100", false),
    ("0700000000", 0),
    ("0700000001", 1),
    ("07000000ff", 255),
    ("0700000100", 256),
    ("077fffffff", 2_147_483_647),
    ("0780000000", -2_147_483_648),
    ("033fe0000000000000", 0.5),
    ("03bff8000000000000", -1.5),
    ("03400921fb54442d11", 3.14159265358979),
    ("0343e0000000000000", .number(0x1p63)),
    ("037e37e43c8800759c", 1e300),
    ("030000000000000001", .number(.leastNonzeroMagnitude)),
    ("037ff0000000000000", .number(.infinity)),
    ("037ff8000000000000", .number(.nan)),
    ("03fff8000000000000", .number(Double(bitPattern: 0xFFF8_0000_0000_0000))),
    ("04000161", "a"),
    ("04000568656c6c6f", "hello"),
    ("040006610062ff0d0a", .string(ByteString([0x61, 0, 0x62, 0xFF, 0x0D, 0x0A]))),
    ("0400ff" + String(repeating: "78", count: 255), .string(ByteString(repeated("x", 255)))),
    ("040100" + String(repeating: "78", count: 256), .string(ByteString(repeated("x", 256)))),
    ("05000107000000010700000007", [7]),
    ("050003070000000107000000010700000002070000000207000000030700000003", [1, 2, 3]),
    (
      "0500020700000001070000000107000000030700000003",
      .table(Table(elements: [1], entries: [.init(key: 3, value: 3)]))
    ),
    ("050001040001610700000001", ["a": 1]),
    ("050001033ff800000000000004000166", [1.5: "f"]),
    ("05000101010100", [true: false]),
    ("05000105000004000176", [Value.table(Table()): "v"]),
    ("0500010700000001050001070000000105" + "0000", [[[:]]]),
    (
      "05000107000000010500010700000001050001070000000105000107000000010500010700000001"
        + "04000464656570", [[[[["deep"]]]]]
    ),
    ("050003070000000104000007000000021400020700000003140002", ["", "", ""]),
    ("0500010400026162140002", ["ab": "ab"]),
    (
      "05000407000000010400017007000000020400017107000000031400020700000004140003",
      ["p", "q", "p", "q"]
    ),
    (
      "0500040700000001033fe00000000000000700000002033fe0000000000000"
        + "0700000003010107000000040101", [0.5, 0.5, true, true]
    ),
    (
      "050004070000000104000178010107000000010400016b04000176033ff80000000000000700000002",
      .table(
        Table(
          elements: ["x"],
          entries: [
            .init(key: true, value: 1), .init(key: "k", value: "v"), .init(key: 1.5, value: 2),
          ]))
    ),
  ]

  @Test(arguments: golden.map(\.hex))
  func `the original's bytes`(_ hex: String) throws {
    let value = try #require(Self.golden.first { $0.hex == hex }).value
    #expect(identical(try luatobin(bytes(hex: hex)), value))
    #expect(self.hex(try luatobin(writing: value)) == hex)
  }

  /// Shared tables and cycles, which a tree of values cannot tell.
  @Test(arguments: [
    "0500020700000001050001070000000107000000010700000002140002",  // local t = {1}; {t, t}
    "0500010400026d65140001",  // t.me = t
    "0500011400010700000001",  // t[t] = 1
    "050005070000000104000173070000000205000107000000011400020700000003040001750700000004140003"
      + "0700000005140004",  // local t = {"s"}; {"s", t, "u", t, "u"}
    "06000872657475726e2031",  // a function
    "050002070000000106000872657475726e20310700000002140002",  // the same twice
  ])
  func `written again as it was read`(_ hex: String) throws {
    let input = allocated(bytes(hex: hex))
    defer { input.deallocate() }
    var reader = LuatobinReader()
    var writer = LuatobinWriter()
    reader.begin(input)
    try reader.readValue(into: &writer)
    let isAtEnd = reader.isAtEnd
    #expect(isAtEnd)
    #expect(self.hex(writer.buffer.contents) == hex)
  }

  @Test(arguments: [
    (2_147_483_648 as Int64, "0341e0000000000000"), (-2_147_483_649, "03c1e0000000200000"),
    (1 << 53, "034340000000000000"), (.min, "03c3e0000000000000"),
  ])
  func `integers beyond 32 bits are doubles`(_ integer: Int64, _ hex: String) throws {
    #expect(self.hex(try luatobin(writing: .integer(integer))) == hex)
    #expect(try luatobin(bytes(hex: hex)) == .number(Double(integer)))
  }

  @Test func `floats stay floats`() throws {
    #expect(hex(try luatobin(writing: 3.0)) == "034008000000000000")
    #expect(hex(try luatobin(writing: -0.0)) == "038000000000000000")
  }

  @Test(arguments: [
    ("01", "the rest of a boolean"), ("02", "the type of a value"), ("08", "the type of a value"),
    ("21", "the type of a value"), ("", "a value"), ("04", "the rest of a string"),
    ("04000561", "the rest of a string"), ("070000", "the rest of an integer of 4 bytes"),
    ("0300", "the rest of a double of 8 bytes"), ("05", "the rest of a table's number of pairs"),
    ("05000207000000010101", "a value"), ("0500020101", "a value"), ("05ffff", "a value"),
    ("06000561", "the rest of a function"), ("14", "the rest of a reference of 2 bytes"),
    ("140001", "a reference to one of the 0 objects before it"),
    ("140000", "a reference to one of the 0 objects before it"),
    ("0500010101140002", "a reference to one of the 1 objects before it"),
    ("050001037ff80000000000000101", "a key, which not a number cannot be,"),
    ("050001000101", "a key, which nil cannot be,"),
  ])
  func `malformed`(_ hex: String, _ expected: String) throws {
    let error = #expect(throws: CodecError.self) { try luatobin(bytes(hex: hex)) }
    #expect(error?.kind == .syntax)
    #expect(error?.expected == expected)
  }

  @Test func `limits`() throws {
    let nested = { String(repeating: "0500010700000001", count: $0) + "00" }
    #expect(throws: Never.self) {
      try luatobin(bytes(hex: nested(180)), limits: CodecLimits(depth: 180))
    }
    let error = #expect(throws: CodecError.self) {
      try luatobin(bytes(hex: nested(181)), limits: CodecLimits(depth: 180))
    }
    #expect(error?.kind == .limit)
    #expect(throws: CodecError.self) { try luatobin(bytes(hex: nested(100_000))) }
    let values = #expect(throws: CodecError.self) {
      try luatobin(bytes(hex: "050003" + "0101"), limits: CodecLimits(values: 5))
    }
    #expect(values?.kind == .limit)
  }

  @Test func `a tree refuses what it cannot hold`() throws {
    #expect(throws: ValueGraphBuilder.Refusal.cycle) {
      try luatobin(bytes(hex: "0500010400026d65140001"))
    }
    #expect(throws: ValueGraphBuilder.Refusal.function) {
      try luatobin(bytes(hex: "06000872657475726e2031"))
    }
    // Each table has the one before it twice: 2^40 values in 40 tables.
    var hex = "0500280700000001050000"
    for index in 2...40 {
      let reference = "14" + twoBytes(index)
      hex += "070000" + twoBytes(index) + "0500020700000001" + reference
      hex += "0700000002" + reference
    }
    #expect(throws: ValueGraphBuilder.Refusal.tooLarge(limit: 1_000_000)) {
      try luatobin(bytes(hex: hex))
    }
    #expect(
      try luatobin(bytes(hex: "0500020700000001050001070000000107000000010700000002140002"))
        == [[1], [1]])
  }

  @Test func `what does not fit is refused`() throws {
    func refusal(_ value: Value) -> LuatobinRefusal? {
      do throws(LuatobinRefusal) {
        _ = try luatobin(writing: value)
        return nil
      } catch { return error }
    }
    let large = Int64(1) << 53 + 1
    #expect(refusal(.integer(large)) == .integer(large))
    #expect(refusal(.string(ByteString(repeated("x", 65_534)))) == nil)
    #expect(refusal([.string(ByteString(repeated("x", 65_535)))]) == .string(bytes: 65_535))
    #expect(refusal(.table(Table(elements: repeated(true, 65_534)))) == nil)
    #expect(
      refusal([.table(Table(elements: repeated(true, 65_535)))]) == .table(pairs: 65_535))
    for reason: LuatobinRefusal in [
      .integer(1), .string(bytes: 1), .function(bytes: 1), .table(pairs: 1), .reference,
    ] {
      #expect(reason.description.contains("sen"))
    }
  }

  @Test func `strings without a number are written in full`() throws {
    // 65,535 objects have numbers: the outer table, the inner ones, and most strings.
    let strings = (0..<40_000).map { Value.string(ByteString("s\($0)")) }
    let value: Value = [.table(Table(elements: strings)), .table(Table(elements: strings))]
    let many: Value = [value, .table(Table(elements: strings + [.string("x")])), "x", "x"]
    #expect(try luatobin(try luatobin(writing: many)) == many)
    let more = (0..<60_000).map { Value.string(ByteString("t\($0)")) }
    let beyond: Value = [.table(Table(elements: more)), .table(Table(elements: strings)), "s39999"]
    #expect(try luatobin(try luatobin(writing: beyond)) == beyond)
  }

  /// Mutated values, which the reader must survive; what it accepts it must have understood.
  @Test func `no input breaks the reader`() throws {
    var generator = SeededGenerator(for: "luatobin")
    let limits = CodecLimits(depth: 12, values: 2000)
    var accepted = 0
    for _ in 0..<2000 {
      let seed = try luatobin(writing: sendable(.table(generator.table(depth: 2))))
      #expect(try luatobin(writing: luatobin(seed)) == seed)
      for _ in 0..<50 {
        var input = seed
        for _ in 0...generator.below(3) { generator.mutateBinary(&input) }
        do {
          let value = try luatobin(input, limits: limits)
          let again = try luatobin(try luatobin(writing: value))
          if !identical(again, value) { Issue.record("\(input) became \(value) and \(again)") }
          accepted += 1
        } catch let error as CodecError {
          if error.offset < 0 || error.offset > input.count || error.description.utf8.count > 200 {
            Issue.record("bad error \(error) for \(input)")
          }
        } catch is ValueGraphBuilder.Refusal {}
      }
    }
    // Otherwise the mutations are too strong to reach what is behind the first error.
    #expect(accepted > 5000)
  }

  private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private func twoBytes(_ number: Int) -> String { hex([UInt8(number >> 8), UInt8(number & 255)]) }
}

func bytes(hex: String) -> [UInt8] {
  let digits = Array(hex.utf8)
  return stride(from: 0, to: digits.count, by: 2).map {
    UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
  }
}

private func repeated<T>(_ value: T, _ count: Int) -> [T] { Array(repeating: value, count: count) }
private func repeated(_ text: String, _ count: Int) -> [UInt8] {
  Array(String(repeating: text, count: count).utf8)
}

/// Reads a message of one value as a tree.
func luatobin(_ bytes: [UInt8], limits: CodecLimits = CodecLimits(depth: 200)) throws -> Value {
  let input = allocated(bytes)
  defer { input.deallocate() }
  var reader = LuatobinReader(limits: limits)
  var builder = ValueGraphBuilder()
  reader.begin(input)
  try reader.readValue(into: &builder)
  if let refusal = builder.refusal { throw refusal }
  return builder.value
}

func luatobin(writing value: Value) throws(LuatobinRefusal) -> [UInt8] {
  var writer = LuatobinWriter()
  writer.beginTopLevelValue()
  value.write(to: &writer)
  if let refusal = writer.refusal { throw refusal }
  return writer.buffer.contents
}

/// The value with all integers cut to what luatobin can hold.
private func sendable(_ value: Value) -> Value {
  switch value {
  case .integer(let integer): .integer(Int64(Int32(truncatingIfNeeded: integer)))
  case .table(let table):
    .table(
      Table(
        elements: table.elements.map(sendable),
        entries: table.entries.map { .init(key: sendable($0.key), value: sendable($0.value)) }))
  default: value
  }
}
