import MilongaRPC
import Testing

@Suite struct LengthLineFramingTests {
  private func next(_ text: String, maxBytes: Int = 100) -> FrameResult {
    text.withBytes { LengthLineFraming.next(in: $0, maxBytes: maxBytes) }
  }

  @Test func `a whole frame, whatever follows`() {
    #expect(next("5\nhello") == .frame(headerBytes: 2, bodyBytes: 5))
    #expect(next("5\nhello7\nmore") == .frame(headerBytes: 2, bodyBytes: 5))
    #expect(next("0\n") == .frame(headerBytes: 2, bodyBytes: 0))
    #expect(next("0005\nhello") == .frame(headerBytes: 5, bodyBytes: 5))
  }

  @Test func `a carriage return before the line feed`() {
    #expect(next("5\r\nhello") == .frame(headerBytes: 3, bodyBytes: 5))
    #expect(next("5\r") == .incomplete(needed: 6))
    #expect(next("5\rhello") == .invalid(.badLength))
    #expect(next("\r\n") == .invalid(.badLength))
  }

  @Test func `how much is missing at least`() {
    #expect(next("") == .incomplete(needed: 1))
    #expect(next("1") == .incomplete(needed: 1))
    #expect(next("10\n") == .incomplete(needed: 10))
    #expect(next("10\n1234567") == .incomplete(needed: 3))
    #expect(
      LengthLineFraming.next(in: UnsafeRawBufferPointer(start: nil, count: 0))
        == .incomplete(needed: 1))
  }

  @Test func `every split of a frame is incomplete until the last byte`() {
    let frame = "12\r\nhello, world"
    for count in 0..<frame.utf8.count {
      guard
        case .incomplete(let needed) = next(
          String(decoding: frame.utf8.prefix(count), as: UTF8.self))
      else {
        Issue.record("\(count) bytes are no whole frame")
        continue
      }
      #expect(needed >= 1 && count + needed <= frame.utf8.count)
    }
  }

  @Test(arguments: [
    "\n", "-1\n", "+1\n", " 1\n", "1 \n", "0x10\n", "1.0\n", "1e3\n", "abc", "GET / HTTP/1.1\r\n",
    "\0", "5\r\r\n", "{", "000000000000000000001\n", "000000000000000000001",
    "00000000000000000001\r\n",
  ]) func `nothing but digits is a length`(text: String) {
    #expect(next(text) == .invalid(.badLength))
  }

  @Test func `twenty bytes are the longest line`() {
    #expect(next("00000000000000000001\nx") == .frame(headerBytes: 21, bodyBytes: 1))
    #expect(next("0000000000000000001\r\nx") == .frame(headerBytes: 21, bodyBytes: 1))
    #expect(next("00000000000000000001") == .incomplete(needed: 1))
  }

  @Test func `a length beyond the limit is refused before the line ends`() {
    #expect(next("100\n") == .incomplete(needed: 100))
    #expect(next("101\n") == .invalid(.tooLong(limit: 100)))
    #expect(next("101") == .invalid(.tooLong(limit: 100)))
    #expect(next("99999999999999999999\n", maxBytes: .max) == .invalid(.tooLong(limit: .max)))
    #expect(next("9223372036854775807") == .invalid(.tooLong(limit: 100)))
    #expect(next("5\n", maxBytes: 0) == .invalid(.tooLong(limit: 0)))
    #expect(
      "16777217".withBytes { LengthLineFraming.next(in: $0) } == .invalid(.tooLong(limit: 1 << 24)))
  }

  @Test func `errors are sentences`() {
    #expect(
      FramingError.tooLong(limit: 5).description
        == "the frame is longer than the limit of 5 bytes")
    #expect(
      FramingError.badLength.description
        == "the length of the frame is not a line of 1 to 20 decimal digits")
  }

  @Test(arguments: [0, 1, 9, 10, 99, 100, 12345, 100_000])
  func `a frame is one run of bytes, alone and behind others`(size: Int) {
    let body = [UInt8](repeating: UInt8(ascii: "x"), count: size)
    var buffer = OutputBuffer()
    for _ in 0..<3 {
      let frame = LengthLineFraming.open(in: &buffer)
      body.withUnsafeBytes { buffer.append($0) }
      #expect(LengthLineFraming.close(frame, in: &buffer) == size)
    }
    let expected = Array("\(size)\n".utf8) + body
    #expect(buffer.contents == expected + expected + expected)
  }

  @Test func `a frame that is dropped leaves nothing`() {
    var buffer = OutputBuffer()
    LengthLineFraming.drop(LengthLineFraming.open(in: &buffer), from: &buffer)
    #expect(buffer.count == 0)
    buffer.append("before")
    let frame = LengthLineFraming.open(in: &buffer)
    buffer.append("half a body")
    LengthLineFraming.drop(frame, from: &buffer)
    #expect(buffer.contents == Array("before".utf8))
  }

  @Test func `a frame may be opened behind bytes of which some were sent`() {
    var buffer = OutputBuffer()
    buffer.append("sent waiting ")
    buffer.removeFirst(5)
    let frame = LengthLineFraming.open(in: &buffer)
    buffer.append("body")
    LengthLineFraming.close(frame, in: &buffer)
    #expect(buffer.contents == Array("waiting 4\nbody".utf8))
  }
}
