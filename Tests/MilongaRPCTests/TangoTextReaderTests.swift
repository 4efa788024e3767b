import MilongaRPC
import Testing

@Suite struct TangoTextReaderTests {
  @Test func `words`() throws {
    #expect(try value("nil") == nil)
    #expect(try value("true") == true)
    #expect(try value(" \t\n\u{b}\u{c}\r false ") == false)
  }

  @Test(
    arguments: [
      ("0", 0), ("7", 7), ("-7", -7), ("- 7", -7), ("007", 7), ("-0", 0),
      ("123456789012345678", 123_456_789_012_345_678),
      ("9223372036854775807", .max), ("-9223372036854775808", .min),
      ("000000000000000000000000000001", 1),
      ("0x10", 16), ("0XfF", 255), ("-0x1", -1), ("0xffffffffffffffff", -1), ("(5)", 5),
      ("-(5)", -5),
      ("-(-5)", 5), ("( - 5 )", -5),
    ] as [(String, Int64)]) func `integers`(text: String, expected: Int64) throws
  {
    #expect(try value(text) == .integer(expected))
  }

  @Test(
    arguments: [
      ("3.0", 3), ("3.", 3), (".5", 0.5), ("-.5", -0.5), ("1e3", 1000), ("1E+3", 1000),
      ("25e-1", 2.5), ("-0.0", -0.0), ("0e999999999999999", 0), ("1e22", 1e22), ("1e23", 1e23),
      ("9007199254740993.0", 9_007_199_254_740_992), ("0.1", 0.1), ("123456.789e3", 123_456_789),
      ("9223372036854775808", 0x1p63), ("-9223372036854775809", -0x1p63),
      ("18446744073709551616", 0x1p64), ("100000000000000000000", 1e20),
      ("1.7976931348623157e308", .greatestFiniteMagnitude), ("5e-324", .leastNonzeroMagnitude),
      ("1e-400", 0),
      ("2.4703282292062327208e-324", 0), ("2.4703282292062328e-324", .leastNonzeroMagnitude),
      ("0.00000000000000000000000000000000000000001e41", 1), ("1e999", .infinity),
      ("-1e999", -.infinity), ("1e99999999999999999999", .infinity), ("1/0", .infinity),
      ("-1/0", -.infinity), ("1 / 0", .infinity), ("-(1/0)", -.infinity), ("inf", .infinity),
      ("-inf", -.infinity), ("-(inf)", -.infinity),
    ] as [(String, Double)]) func `floats`(text: String, expected: Double) throws
  {
    let read = try value(text)
    #expect(identical(read, .number(expected)), "\(text) is \(read)")
  }

  @Test(arguments: ["0/0", "-0/0", "(0/0)", "-(0/0)", "( 0 / 0 )", "nan", "-nan", "(-nan)"])
  func `not a number`(text: String) throws {
    #expect(identical(try value(text), .number(.nan)))
  }

  @Test(arguments: [
    "", " ", "-", "--1", "- -1", ".", "e5", "1e", "1e+", "0x", "0xg", "1.5.5", "1..2", "3abc",
    "2/0",
    "1/1", "0/00", "0/0.5", "0/0x1", "1.0/0", "0/", "(0/0", "()", "((1))", "(1", "infinity", "NaN",
    "NIL", "nill", "print", "_G", "1 2", "1,2", "\"a\"..\"b\"", "\"a\" \"b\"", "0x1p4", "{}{}", "'",
    "\"", "'abc", "\"a\\", "'a\\1", "[[long]]", "{1,,2}", "{,}", "{;}", "{1", "{1,", "{", "}",
    "{a=}",
    "{a=1", "{a 1}", "{=1}", "{[1]}", "{[1]1}", "{[]=1}", "{[1=1}", "{1=1}", "{a=b=1}", "{a.b=1}",
    "{[nil]=1}", "{[0/0]=1}", "{[nan]=1}", "{[-(0/0)]=1}", "f()", "function() end", "{f()}",
    "-- comment", "{1--[[x]]}", "#{}", "not true", "return return 1", "return", "true and 1", "\0",
    "{\0}", "1;", "returnx", "return1",
  ]) func `all else is refused`(text: String) {
    #expect(throws: CodecError.self) { try value(text) }
  }

  @Test func `strings in either quotes, the other quote being plain`() throws {
    #expect(try value(#""a'b""#) == "a'b")
    #expect(try value(#"'a"b'"#) == "a\"b")
    #expect(try value("''") == "")
  }

  @Test(
    arguments: [
      (#"\a\b\f\n\r\t\v"#, [7, 8, 12, 10, 13, 9, 11]), (#"\\\"\'"#, [92, 34, 39]),
      (#"\0"#, [0]), (#"\65\066\0067"#, [65, 66, 6, 55]), (#"\255"#, [255]), (#"\1a"#, [1, 97]),
      (#"\x41"#, Array("x41".utf8)), (#"\q\{\z"#, Array("q{z".utf8)),
      ("a\\\nb", [97, 10, 98]), ("a\\\r\nb", [97, 10, 98]), ("a\\\n\rb", [97, 10, 98]),
      ("a\\\rb", [97, 10, 98]), ("\\\n\\\n", [10, 10]),
    ] as [(String, [UInt8])]) func `escapes are those of Lua 5.1`(text: String, expected: [UInt8])
    throws
  {
    #expect(try value("\"\(text)\"") == .string(ByteString(expected)))
    let long = String(repeating: "abcdef0123456789", count: 100)
    let bytes = Array(long.utf8) + expected + Array(long.utf8)
    #expect(try value("\"\(long)\(text)\(long)\"") == .string(ByteString(bytes)))
  }

  @Test(arguments: ["\"a\nb\"", "\"a\rb\"", "\"\\256\"", "\"\\999\"", "'0123456789\n'"])
  func `a raw end of line and an escape beyond a byte are refused`(text: String) {
    #expect(throws: CodecError.self) { try value(text) }
  }

  @Test func `all other bytes are allowed in strings, NUL too`() throws {
    let string = (0...255).filter { ![10, 13, 34, 92].contains($0) } as [UInt8]
    #expect(try value([34] + string + [34]) == .string(ByteString(string)))
  }

  @Test(arguments: 0..<40) func `the end of a string is found at every place`(length: Int) throws {
    let string =
      String(repeating: "\t", count: length / 3)
      + String(repeating: "y", count: length - length / 3)
    #expect(
      try message("{\"\(string)\",'\(string)'}")
        == [.string(ByteString(string)), .string(ByteString(string))])
    #expect(throws: CodecError.self) { try value("\"\(string)") }
  }

  @Test func `tables with either separator, also at the end`() throws {
    #expect(try value("{1,2;3}") == [1, 2, 3])
    #expect(try value("{1,}") == [1])
    #expect(try value("{1;}") == [1])
    #expect(try value(" { 1 , { } ; } ") == [1, []])
  }

  @Test func `the three sorts of entries`() throws {
    let table = Table(
      elements: ["x", 2],
      entries: [
        .init(key: "a", value: 1), .init(key: 1.5, value: true), .init(key: "b c", value: nil),
        .init(key: [1], value: [2]), .init(key: false, value: 3), .init(key: -1, value: 4),
      ])
    let text = #"{ a = 1 , "x", [ 1.5 ]=true,["b c"]=nil,[{1}]={2};[false]=3,2,[-1]=4}"#
    #expect(try value(text) == .table(table))
  }

  @Test func `any word before an equals sign is a name, as the original writes them`() throws {
    #expect(try value("{end=1,nil=2,inf=3,true =4}") == ["end": 1, "nil": 2, "inf": 3, "true": 4])
  }

  @Test func `infinite keys are keys`() throws {
    #expect(try value("{[1/0]=1,[-inf]=2}") == [.number(.infinity): 1, .number(-.infinity): 2])
  }

  @Test func `return may be in front`() throws {
    #expect(try value("return 1") == 1)
    #expect(try value(" return{1}") == [1])
    #expect(try value("return'x'") == "x")
    #expect(try message("return\n{1}") == [1])
  }

  @Test func `the elements of a message arrive one by one`() throws {
    #expect(try message(#"{"add",1,2}"#) == ["add", 1, 2])
    #expect(try message("{}") == [])
    #expect(
      try message("{true,nil,{1,a=2},nil}")
        == [true, nil, .table(Table(elements: [1], entries: [.init(key: "a", value: 2)])), nil])
  }

  @Test func `integer keys of a message are elements, holes are nil`() throws {
    #expect(try message(#"{"f",[4]="x"}"#) == ["f", nil, nil, "x"])
    #expect(try message("{[3]=3,[1]=1}") == [1, nil, 3])
    #expect(try message("{[2.0]='two',1}") == [1, "two"])
  }

  @Test func `other entries of a message are dropped`() throws {
    #expect(
      try message("{1,a=5,[0]=6,[-1]=7,[1.5]=8,[true]=9,[{1}]={2},[{}]=3,['2']=4,2}") == [1, 2])
    #expect(try message("{[1e300]=1,[1/0]=2}") == [])
  }

  @Test func `positional elements win over keys, as in Lua`() throws {
    #expect(try message("{'a',[1]='b'}") == ["a"])
    #expect(try message("{[1]='b','a'}") == ["a"])
  }

  @Test(arguments: [
    "", "1", "'x'", "nil", "return", "{1}{", "{1},", "{[nil]=1}", "{[0/0]=2}", "{1 2}",
  ])
  func `a message is a table`(text: String) {
    #expect(throws: CodecError.self) { try message(text) }
  }

  @Test func `a sink gets strings without escapes from the input itself`() throws {
    struct Addresses: ValueSink {
      var addresses: [UnsafeRawPointer?] = []
      mutating func null() {}
      mutating func boolean(_ value: Bool) {}
      mutating func integer(_ value: Int64) {}
      mutating func number(_ value: Double) {}
      mutating func string(_ bytes: UnsafeRawBufferPointer) { addresses.append(bytes.baseAddress) }
      mutating func beginTable(elements: Int, entries: Int) {}
      mutating func endTable() {}
    }
    var sink = Addresses()
    try "{'abc',\"tab\t\",key='\\n'}".withBytes { bytes in
      try TangoText.readValue(bytes, into: &sink)
      #expect(sink.addresses.map { $0! - bytes.baseAddress! }.prefix(3) == [2, 8, 14])
    }
    #expect(sink.addresses.count == 4)
  }

  @Test func `an empty buffer without an address is an error like any other`() {
    var builder = ValueBuilder()
    #expect(throws: CodecError.self) {
      try TangoText.readMessage(UnsafeRawBufferPointer(start: nil, count: 0), into: &builder)
    }
  }
}
