import MilongaRPC
import Testing

@Suite struct CodecErrorTests {
  @Test func `an error says where, what was expected and what was found`() {
    #expect(messageError("{1 2}")?.description == "expected ',' or '}' at byte 3, found \"2}\"")
    #expect(
      messageError("{1")?.description
        == "expected ',' or '}' at byte 2, found the end of the text")
    #expect(
      messageError("print(1)")?.description
        == "expected a table at byte 0, found \"print(1)\"")
    #expect(
      messageError("{[nil]=1}")?.description
        == "expected a key other than nil at byte 2, found \"nil]=1}\"")
    #expect(
      messageError("{{{}}}", limits: CodecLimits(depth: 2))?.description
        == "expected at most 2 nested tables at byte 2, found \"{}}}\"")
    #expect(
      messageError("{1,[9]=2}", limits: CodecLimits(messageElements: 8))?.description
        == "expected at most 8 message elements at byte 3, found \"[9]=2}\"")
  }

  @Test func `what it quotes is short and printable`() {
    let error = valueError("@\u{1b}[31m\"\\\n\r\t\0éaaaaaaaaaaaaaaaaaaa")
    #expect(error?.found == #""@\x1b[31m\"\\\n\r\t\x00\xc3\xa9aaaaaa...""#)
  }

  @Test func `errors point at the token that is wrong`() {
    #expect(valueError("{foo}")?.offset == 1)
    #expect(valueError(#"{"abc\300"}"#)?.offset == 5)
    #expect(valueError("{\"abc\ndef\"}")?.offset == 5)
    #expect(valueError("{1,2/0}")?.offset == 4)
  }
}
