import Foundation
import LuaSocket
import MilongaTestSupport
import Testing

/// What must hold of the codecs whatever they are fed; `mime_*.lua` compare them with the original.
@Suite("MIME codecs")
struct MIMECodecTests {
  @Test func `base64 is what Foundation makes of it`() throws {
    var generator = SeededGenerator(for: #function)
    for length in 0..<200 {
      let bytes = generator.bytes(length)
      let text = try translated(bytes, by: Base64Encoder(), &generator)
      #expect(text == Array(Data(bytes).base64EncodedString().utf8))
      #expect(try translated(text, by: Base64Decoder(), &generator) == bytes)
    }
  }

  @Test func `base64 survives what mail does to lines`() throws {
    var generator = SeededGenerator(for: #function)
    for _ in 0..<200 {
      let bytes = generator.bytes(generator.below(1000))
      let text = try translated(bytes, by: Base64Encoder(), &generator)
      let lines = try wrapped(text, LineWrapper(left: 76, length: 1 + generator.below(76)))
      #expect(try translated(lines, by: Base64Decoder(), &generator) == bytes)
    }
  }

  @Test func `quoted-printable comes in short lines and stands for the same bytes`() throws {
    var generator = SeededGenerator(for: #function)
    for _ in 0..<300 {
      let bytes = generator.bytes(generator.below(1000))
      let text = try translated(bytes, by: quotedPrintableEncoder, &generator)
      let lines = try wrapped(text, QuotedPrintableWrapper(left: 76, length: 76))
      for line in lines.split(separator: 10, omittingEmptySubsequences: false) {
        let line = line.last == 13 ? line.dropLast() : line
        #expect(line.count <= 76)
        #expect(line.allSatisfy { 32...126 ~= $0 || $0 == 9 })
        #expect(line.last != 32 && line.last != 9)
      }
      #expect(try translated(lines, by: QuotedPrintableDecoder(), &generator) == bytes)
    }
  }

  @Test func `pieces make no difference, not even for nonsense`() throws {
    var generator = SeededGenerator(for: #function)
    for _ in 0..<500 {
      let bytes = generator.bytes(generator.below(200))
      #expect(
        try translated(bytes, by: Base64Decoder(), &generator)
          == whole(bytes, by: Base64Decoder()))
      #expect(
        try translated(bytes, by: QuotedPrintableDecoder(), &generator)
          == whole(bytes, by: QuotedPrintableDecoder()))
      #expect(
        try translated(bytes, by: quotedPrintableEncoder, &generator)
          == whole(bytes, by: quotedPrintableEncoder))
    }
  }

  @Test func `the result ends at the limit`() throws {
    let bytes = [UInt8](repeating: 65, count: 300)
    for limit in [0, 1, 399] {
      #expect(throws: MIMEOutput.TooLarge.self) {
        try whole(bytes, by: Base64Encoder(), limit: limit)
      }
    }
    #expect(try whole(bytes, by: Base64Encoder(), limit: 400).count == 400)
    #expect(throws: MIMEOutput.TooLarge.self) {
      var output = MIMEOutput(limit: 300)
      var wrapper = LineWrapper(left: 76, length: 76)
      try bytes.withUnsafeBytes { try wrapper.wrap($0, into: &output) }
    }
  }
}

private var quotedPrintableEncoder: QuotedPrintableEncoder {
  let marker: StaticString = "\r\n"
  return QuotedPrintableEncoder(marker: .init(start: marker.utf8Start, count: 2))
}

extension SeededGenerator {
  /// Random bytes: of any value, or such that mean something in one of the formats.
  fileprivate mutating func bytes(_ count: Int) -> [UInt8] {
    let telling = Array("\r\n\r\n \t.=aB4 ordinary text".utf8)
    let anyValue = below(2) == 0
    return (0..<count).map { _ in
      anyValue ? UInt8(below(256)) : telling[below(telling.count)]
    }
  }
}

private func contents(_ output: borrowing MIMEOutput) -> [UInt8] {
  output.withUnsafeBytes { Array($0) }
}

/// What the codec makes of the bytes when it gets them in random pieces.
private func translated(
  _ bytes: [UInt8], by codec: some MIMECodec, _ generator: inout SeededGenerator
) throws -> [UInt8] {
  var codec = codec
  var output = MIMEOutput()
  var rest = bytes[...]
  while !rest.isEmpty {
    let piece = Array(rest.prefix(generator.below(12)))
    rest = rest.dropFirst(piece.count)
    try piece.withUnsafeBytes { try codec.translate($0, into: &output) }
  }
  try codec.finish(into: &output)
  return contents(output)
}

/// What the codec makes of the bytes when it gets them at once.
private func whole(
  _ bytes: [UInt8], by codec: some MIMECodec, limit: Int = .max
) throws -> [UInt8] {
  var codec = codec
  var output = MIMEOutput(limit: limit)
  try bytes.withUnsafeBytes { try codec.translate($0, into: &output) }
  try codec.finish(into: &output)
  return contents(output)
}

private func wrapped(_ text: [UInt8], _ wrapper: LineWrapper) throws -> [UInt8] {
  var wrapper = wrapper
  var output = MIMEOutput()
  try text.withUnsafeBytes { try wrapper.wrap($0, into: &output) }
  return contents(output)
}

private func wrapped(_ text: [UInt8], _ wrapper: QuotedPrintableWrapper) throws -> [UInt8] {
  var wrapper = wrapper
  var output = MIMEOutput()
  try text.withUnsafeBytes { try wrapper.wrap($0, into: &output) }
  return contents(output)
}
