import MilongaRPC
import MilongaTestSupport
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    (Value.null, "null"), (.boolean(true), "true"), (.boolean(false), "false"),
    (.integer(0), "0"), (.integer(-12), "-12"), (.integer(.max), "9223372036854775807"),
    (.integer(.min), "-9223372036854775808"), (.number(0.5), "0.5"), (.number(3), "3.0"),
    (.number(-2.5e-7), "-2.5e-07"), (.number(1e300), "1e+300"), (.number(0), "0.0"),
    (.string(""), "\"\""), (.string("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""),
    (.string("\n\r\t\u{8}\u{c}\u{1}\u{1f}"), "\"\\n\\r\\t\\b\\f\\u0001\\u001f\""),
    (.string("é\u{7f}€"), "\"é\u{7f}€\""),
    (.string("longer than eight \""), "\"longer than eight \\\"\""),
    (
      .table(Table(elements: [.integer(1), .null, .table(Table(elements: [.integer(2)]))])),
      "[1,null,[2]]"
    ),
    (.table(Table(entries: [Table.Entry(key: .string("a"), value: .integer(1))])), "{\"a\":1}"),
  ])
  func `values and their text`(_ value: Value, _ text: String) throws {
    #expect(json(value) == text)
    #expect(try parsed(text) == value)
  }

  @Test func `tables that are neither lists nor objects`() throws {
    let entry = { (key: Value) in Table.Entry(key: key, value: .integer(1)) }
    #expect(json(.table(Table())) == "{}")
    #expect(
      json(.table(Table(elements: [.integer(7)], entries: [entry(.string("a"))])))
        == "{\"1\":7,\"a\":1}")
    #expect(json(.table(Table(entries: [entry(.integer(-3))]))) == "{\"-3\":1}")
    #expect(json(.table(Table(entries: [entry(.number(1.5))]))) == "{\"1.5\":1}")
    #expect(json(.table(Table(entries: [entry(.boolean(true))]))) == nil)
    #expect(json(.table(Table(entries: [entry(.table(Table()))]))) == nil)
    #expect(json(.number(.infinity)) == nil)
    #expect(json(.table(Table(elements: [.number(.nan)]))) == nil)
  }

  @Test(arguments: [
    ("  [ 1 , 2 ]\n", Value.table(Table(elements: [.integer(1), .integer(2)]))),
    ("[]", .table(Table())), ("{}", .table(Table())), ("[ ]", .table(Table())),
    ("-0", .integer(0)), ("1E2", .number(100)), ("1e-2", .number(0.01)), ("0.1", .number(0.1)),
    ("123456789012345678901", .number(1.2345678901234568e20)),
    ("\"\\u00e9\\u20AC\\/\\b\"", .string("é€/\u{8}")), ("\"\\ud83d\\ude00\"", .string("😀")),
    ("\"a\tb\u{1}\"", .string("a\tb\u{1}")),
    (
      "\"\(String(repeating: "x\\n", count: 2000))\"",
      .string(ByteString(String(repeating: "x\n", count: 2000)))
    ),
  ])
  func `what others write`(_ text: String, _ value: Value) throws {
    #expect(try parsed(text) == value)
  }

  @Test(arguments: [
    "", " ", "[", "[1", "[1,", "[1,]", "[,1]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}",
    "{a:1}", "{1:1}", "{null:1}", "[1 2]", "{\"a\" 1}", "01", "-", "-x", "1.", ".5", "1.e3", "1e",
    "1e+", "+1", "0x10", "NaN", "Infinity", "-Infinity", "nul", "truE", "tru", "falsehood",
    "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"",
    "\"\\udc00\"", "\"a\\\"", "1 1", "[] []", "// x", "'a'",
  ])
  func `what is refused`(_ text: String) throws {
    let error = #expect(throws: CodecError.self) { try parsed(text) }
    #expect(try #require(error).offset <= text.utf8.count)
  }

  @Test func `limits and messages`() throws {
    let nested = String(repeating: "[", count: 20) + String(repeating: "]", count: 20)
    #expect(throws: CodecError.self) { try parsed(nested, CodecLimits(depth: 19)) }
    #expect(throws: Never.self) { try parsed(nested, CodecLimits(depth: 20)) }
    #expect(throws: CodecError.self) { try parsed("[1,2,3]", CodecLimits(values: 3)) }
    #expect(throws: CodecError.self) { try parsed("{\"a\":1}", CodecLimits(values: 2)) }
    #expect(
      try jsonMessage("[\"f\",null,3]") == [.string("f"), .null, .integer(3)])
    #expect(try jsonMessage(" [ ] ") == [])
    let limits = CodecLimits(messageElements: 2)
    #expect(throws: CodecError.self) { try jsonMessage("[1,2,3]", limits) }
    #expect(throws: CodecError.self) { try jsonMessage("{\"1\":1}") }
    #expect(throws: CodecError.self) { try jsonMessage("1") }
  }

  @Test func `a hundred objects, one in the other`() throws {
    var value = Value.integer(1)
    for level in 0..<100 {
      value = .table(
        level % 3 == 0
          ? Table(elements: [value, .null])
          : Table(entries: [Table.Entry(key: .string("k"), value: value)]))
    }
    let text = try #require(json(value))
    #expect(try parsed(text) == value)
  }
}

/// The text of a value; nil when the writer refused something.
func json(_ value: Value) -> String? {
  jsonBytes(value).map { String(decoding: $0, as: UTF8.self) }
}

func jsonBytes(_ value: Value) -> [UInt8]? {
  var writer = JSONWriter()
  value.write(to: &writer)
  return writer.refusal == nil ? writer.buffer.contents : nil
}

@discardableResult
func parsed(
  _ text: some StringProtocol, _ limits: CodecLimits = CodecLimits()
) throws(CodecError) -> Value {
  try parsed(Array(text.utf8), limits)
}

@discardableResult
func parsed(
  _ input: [UInt8], _ limits: CodecLimits = CodecLimits()
) throws(CodecError) -> Value {
  var builder = ValueBuilder()
  let bytes = allocated(input)
  defer { bytes.deallocate() }
  try JSON.readValue(bytes, limits: limits, into: &builder)
  return builder.value
}

@discardableResult
func jsonMessage(
  _ text: String, _ limits: CodecLimits = CodecLimits()
) throws(CodecError) -> [Value] {
  var builder = ValueBuilder()
  let bytes = allocated(text.utf8)
  defer { bytes.deallocate() }
  try JSON.readMessage(bytes, limits: limits, into: &builder)
  return builder.message
}
