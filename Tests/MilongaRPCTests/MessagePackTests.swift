import MilongaRPC
import MilongaTestSupport
import Testing

@Suite struct MessagePackTests {
  /// Values and their bytes, from the specification.
  @Test(arguments: [
    (Value.null, [0xC0]), (.boolean(false), [0xC2]), (.boolean(true), [0xC3]),
    (.integer(0), [0x00]), (.integer(127), [0x7F]), (.integer(128), [0xCC, 0x80]),
    (.integer(255), [0xCC, 0xFF]), (.integer(256), [0xCD, 0x01, 0x00]),
    (.integer(65535), [0xCD, 0xFF, 0xFF]), (.integer(65536), [0xCE, 0x00, 0x01, 0x00, 0x00]),
    (.integer(0xFFFF_FFFF), [0xCE, 0xFF, 0xFF, 0xFF, 0xFF]),
    (.integer(0x1_0000_0000), [0xCF, 0, 0, 0, 1, 0, 0, 0, 0]),
    (.integer(.max), [0xCF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    (.integer(-1), [0xFF]), (.integer(-32), [0xE0]), (.integer(-33), [0xD0, 0xDF]),
    (.integer(-128), [0xD0, 0x80]), (.integer(-129), [0xD1, 0xFF, 0x7F]),
    (.integer(-32768), [0xD1, 0x80, 0x00]),
    (.integer(-32769), [0xD2, 0xFF, 0xFF, 0x7F, 0xFF]),
    (.integer(-0x8000_0001), [0xD3, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]),
    (.integer(.min), [0xD3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    (.number(1.5), [0xCB, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0]),
    (.string("abc"), [0xA3, 0x61, 0x62, 0x63]), (.string(""), [0xA0]),
    (.table(Table()), [0x90]),
    (.table(Table(elements: [.integer(1), .null])), [0x92, 0x01, 0xC0]),
    (
      .table(Table(entries: [Table.Entry(key: .string("a"), value: .boolean(true))])),
      [0x81, 0xA1, 0x61, 0xC3]
    ),
  ])
  func `values and their bytes`(_ value: Value, _ bytes: [UInt8]) throws {
    #expect(messagePack(value) == bytes)
    #expect(try value == unpacked(bytes))
  }

  @Test func `elements beside entries get keys`() throws {
    let entry = Table.Entry(key: .string("a"), value: .integer(2))
    let table = Value.table(Table(elements: [.integer(7)], entries: [entry]))
    #expect(messagePack(table) == [0x82, 0x01, 0x07, 0xA1, 0x61, 0x02])
    // Nested tables do not disturb those around them.
    let outer = Value.table(Table(elements: [table, .integer(3)], entries: [entry]))
    #expect(
      messagePack(outer)
        == [0x83, 0x01, 0x82, 0x01, 0x07, 0xA1, 0x61, 0x02, 0x02, 0x03, 0xA1, 0x61, 0x02])
  }

  @Test func `lengths around the limits of their headers`() throws {
    for count in [0, 15, 16, 31, 32, 255, 256, 65535, 65536] {
      let string = Value.string(ByteString(repeatElement(UInt8(ascii: "x"), count: count)))
      #expect(try unpacked(messagePack(string)) == string)
      let list = Value.table(Table(elements: Array(repeating: .integer(1), count: count)))
      #expect(try unpacked(messagePack(list)) == list)
      let entries = (0..<count).map {
        Table.Entry(key: .integer(Int64($0 + 1000)), value: .null)
      }
      let map = Value.table(Table(entries: entries))
      #expect(try unpacked(messagePack(map)) == (count == 0 ? .table(Table()) : map))
    }
  }

  @Test func `what others write`() throws {
    // bin, float 32, unsigned integers that are shorter than they could be or too large.
    #expect(try unpacked([0xC4, 2, 0x61, 0xFF]) == .string(ByteString([0x61, 0xFF])))
    #expect(try unpacked([0xC5, 0, 1, 0x61]) == .string("a"))
    #expect(try unpacked([0xC6, 0, 0, 0, 1, 0x61]) == .string("a"))
    #expect(try unpacked([0xCA, 0x3F, 0xC0, 0, 0]) == .number(1.5))
    #expect(try unpacked([0xCE, 0, 0, 0, 5]) == .integer(5))
    #expect(try unpacked([0xCF] + Array(repeating: 0xFF, count: 8)) == .number(0x1p64))
    // A message may be a map.
    #expect(
      try packedMessage([0x83, 0x01, 0xA1, 0x66, 0x03, 0x07, 0xA1, 0x78, 0xC3])
        == [.string("f"), .null, .integer(7)])
  }

  @Test(arguments: [
    ([], "the rest of a value"), ([0xC1], "a value"), ([0xD4, 1, 2], "an extension"),
    ([0xC7, 1, 1, 1], "an extension"), ([0xA2, 0x61], "the rest of a value"),
    ([0xDB, 0xFF, 0xFF, 0xFF, 0xFF], "the rest of a value"),
    ([0xDD, 0xFF, 0xFF, 0xFF, 0xFF], "the rest of a value"),
    ([0xDF, 0xFF, 0xFF, 0xFF, 0xFF], "the rest of a value"),
    ([0x81, 0xC0, 1], "a key other than nil"),
    ([0x81, 0xCB, 0x7F, 0xF8, 0, 0, 0, 0, 0, 0, 1], "a key that is a number"),
    ([0x81, 0xCA, 0x7F, 0xC0, 0, 0, 1], "a key that is a number"),
    ([0x01, 0x02], "the end of the message"), ([0xCB, 1], "the rest of a value"),
  ])
  func `what is refused`(_ bytes: [UInt8], _ expected: String) throws {
    let error = #expect(throws: CodecError.self) { try unpacked(bytes) }
    #expect(try #require(error).expected.contains(expected))
  }

  @Test func limits() throws {
    let nested = Array(repeating: UInt8(0x91), count: 20) + [1]
    #expect(throws: CodecError.self) { try unpacked(nested, CodecLimits(depth: 19)) }
    #expect(throws: Never.self) { try unpacked(nested, CodecLimits(depth: 20)) }
    #expect(throws: CodecError.self) { try unpacked([0x93, 1, 2, 3], CodecLimits(values: 3)) }
    #expect(throws: Never.self) { try unpacked([0x93, 1, 2, 3], CodecLimits(values: 4)) }
    let limits = CodecLimits(messageElements: 2)
    #expect(throws: CodecError.self) { try packedMessage([0x93, 1, 2, 3], limits) }
    #expect(throws: CodecError.self) { try packedMessage([0x81, 0x03, 1], limits) }
    #expect(throws: CodecError.self) { try packedMessage([0x01]) }
  }
}

func messagePack(_ value: Value) -> [UInt8] {
  var writer = MessagePackWriter()
  value.write(to: &writer)
  return writer.buffer.contents
}

@discardableResult
func unpacked(
  _ input: [UInt8], _ limits: CodecLimits = CodecLimits()
) throws(CodecError) -> Value {
  var builder = ValueBuilder()
  let bytes = allocated(input)
  defer { bytes.deallocate() }
  try MessagePack.readValue(bytes, limits: limits, into: &builder)
  return builder.value
}

@discardableResult
func packedMessage(
  _ input: [UInt8], _ limits: CodecLimits = CodecLimits()
) throws(CodecError) -> [Value] {
  var builder = ValueBuilder()
  let bytes = allocated(input)
  defer { bytes.deallocate() }
  try MessagePack.readMessage(bytes, limits: limits, into: &builder)
  return builder.message
}
