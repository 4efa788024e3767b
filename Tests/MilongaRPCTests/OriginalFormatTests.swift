import MilongaRPC
import Testing

/// Texts as tango 0.2's own serializer writes them on Lua 5.1.
@Suite struct OriginalFormatTests {
  @Test func `a hole makes the rest keyed, and strings choose their quotes`() throws {
    #expect(try message(#"{"f",'say "hi"',[4]=3,a=1}"#) == ["f", "say \"hi\"", nil, 3])
    #expect(try message(#"{"it's","both ' and \""}"#) == ["it's", "both ' and \""])
  }

  @Test func `all sorts of keys`() throws {
    let text = #"{1,[true]=4,["b c"]=2,[1.5]=3,["k\"'"]=1,_x=0}"#
    let table = try value(text)
    #expect(
      table
        == .table(
          Table(
            elements: [1],
            entries: [
              .init(key: true, value: 4), .init(key: "b c", value: 2), .init(key: 1.5, value: 3),
              .init(key: "k\"'", value: 1), .init(key: "_x", value: 0),
            ])))
  }

  @Test func `reserved words as names, which it cannot read back itself`() throws {
    #expect(
      try value("{{1,{2}},end={}}")
        == .table(Table(elements: [[1, [2]]], entries: [.init(key: "end", value: [])])))
  }

  @Test func `numbers as tostring has them`() throws {
    let read = try message("{inf,-inf,-nan,nan,1e+15,1e+16,0.1,-0,1e-05,3.1415926535898}")
    let expected: [Value] = [
      .number(.infinity), .number(-.infinity), .number(.nan), .number(.nan), 1e15, 1e16, 0.1, 0,
      1e-05, 3.1415926535898,
    ]
    #expect(zip(read, expected).allSatisfy(identical) && read.count == expected.count)
  }

  @Test func `a function or userdata is nil`() throws {
    #expect(try message(#"{"f",nil,[4]=nil}"#) == ["f", nil, nil, nil])
  }

  @Test func `answers`() throws {
    #expect(try message("{true,3}") == [true, 3])
    #expect(
      try message(#"{false,"tango server error \"horst.dieter\": no such variable"}"#)
        == [false, "tango server error \"horst.dieter\": no such variable"])
  }

  @Test func `a backslash is not escaped, so it means what Lua 5.1 makes of it`() throws {
    #expect(try message(#"{"C:\temp\q"}"#) == ["C:\temp\u{71}"])
  }
}
