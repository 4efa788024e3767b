import MilongaRPC
import Testing

@Suite struct TangoTextWriterTests {
  @Test func `nil and booleans are their words`() {
    #expect(text(nil) == "nil")
    #expect(text(true) == "true")
    #expect(text(false) == "false")
  }

  @Test func `integers are decimal, also the least`() {
    #expect(text(0) == "0")
    #expect(text(-7) == "-7")
    #expect(text(10) == "10")
    #expect(text(99_999_999_999) == "99999999999")
    #expect(text(.integer(.max)) == "9223372036854775807")
    #expect(text(.integer(.min)) == "-9223372036854775808")
  }

  @Test func `floats are the shortest decimals that read back, and look like floats`() {
    #expect(text(3.0) == "3.0")
    #expect(text(-2.0) == "-2.0")
    #expect(text(0.0) == "0.0")
    #expect(text(.number(-0.0)) == "-0.0")
    #expect(text(0.1) == "0.1")
    #expect(text(1e16) == "1e+16")
    #expect(text(1e15) == "1000000000000000.0")
    #expect(text(.number(.leastNonzeroMagnitude)) == "5e-324")
    #expect(text(.number(1.0 / 3)) == "0.3333333333333333")
    #expect(text(.number(0x1p53)) == "9007199254740992.0")
  }

  @Test func `numbers without literals are expressions that Lua evaluates`() {
    #expect(text(.number(.infinity)) == "1e999")
    #expect(text(.number(-.infinity)) == "-1e999")
    #expect(text(.number(.nan)) == "0/0")
    #expect(text(.number(-.nan)) == "0/0")
  }

  @Test func `strings are in double quotes, with only what must be escaped`() {
    #expect(text("") == "\"\"")
    #expect(text("plain 'text'") == "\"plain 'text'\"")
    #expect(text("a\"b\\c\nd\re") == #""a\"b\\c\nd\re""#)
    #expect(text("tab\tbell\u{7}") == "\"tab\tbell\u{7}\"")
  }

  @Test func `a NUL is as short as what follows lets it be`() {
    #expect(text("\0") == #""\0""#)
    #expect(text("\0x") == #""\0x""#)
    #expect(text("\01") == #""\0001""#)
    #expect(text("\0\09") == #""\0\0009""#)
  }

  @Test func `bytes that are not UTF-8 stay as they are`() {
    let string = ByteString((0...255).filter { ![0, 10, 13, 34, 92].contains($0) })
    #expect(bytes(.string(string)) == [34] + string.bytes + [34])
  }

  @Test(arguments: 0..<40) func `a special byte is found at every place`(length: Int) {
    for place in 0..<length {
      for (byte, escape) in [(10, "n"), (13, "r"), (34, "\""), (92, "\\"), (0, "0")] as [(UInt8, _)]
      {
        var string = [UInt8](repeating: UInt8(ascii: "x"), count: length)
        string[place] = byte
        var expected = "\"" + String(repeating: "x", count: place)
        expected += "\\\(escape)" + String(repeating: "x", count: length - place - 1) + "\""
        #expect(text(.string(ByteString(string))) == expected)
      }
    }
  }

  @Test func `elements keep their places, nil among and after them too`() {
    #expect(text([]) == "{}")
    #expect(text([1, nil, "x", nil]) == #"{1,nil,"x",nil}"#)
    #expect(text([[], [[1]]]) == "{{},{{1}}}")
  }

  @Test func `keys that are names are bare`() {
    #expect(text(["a": 1, "_b2": 2, "Z": 3]) == "{a=1,_b2=2,Z=3}")
  }

  @Test func `all other keys are in brackets`() {
    #expect(text(["": 1, "a b": 2, "2a": 3, "é": 4]) == #"{[""]=1,["a b"]=2,["2a"]=3,["é"]=4}"#)
    #expect(text([1.5: 1, true: 2, 4: 3, -1: 4]) == "{[1.5]=1,[true]=2,[4]=3,[-1]=4}")
  }

  @Test(arguments: [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
  ]) func `words that some Lua reserves are not bare`(word: String) {
    #expect(
      text(.table(Table(entries: [.init(key: .string(ByteString(word)), value: 1)])))
        == "{[\"\(word)\"]=1}")
    #expect(text([.string(ByteString(word + "s")): 1]) == "{\(word)s=1}")
  }

  @Test func `a table as a key cannot be taken for a long bracket`() {
    #expect(text([[1]: 2]) == "{[{1}]=2}")
    #expect(text([["a": 1]: "x", "b": 2]) == #"{[{a=1}]="x",b=2}"#)
    #expect(text([[[]: 1]: 2]) == "{[{[{}]=1}]=2}")
  }

  @Test func `elements come before entries, separated by commas`() {
    let table = Table(elements: ["f", "x"], entries: [.init(key: "a", value: [1])])
    #expect(text(.table(table)) == #"{"f","x",a={1}}"#)
  }

  @Test func `keys that no table can have are left out`() {
    let table = Table(entries: [
      .init(key: nil, value: 1), .init(key: .number(.nan), value: 2), .init(key: "a", value: 3),
    ])
    #expect(text(.table(table)) == "{a=3}")
  }

  @Test func `a writer appends to the buffer it is given and hands it on`() {
    var buffer = OutputBuffer()
    buffer.append("before ")
    var writer = TangoTextWriter(buffer: buffer)
    Value.integer(1).write(to: &writer)
    #expect(writer.buffer.contents == Array("before 1".utf8))
  }
}
