import MilongaRPC
import MilongaTestSupport
import Testing

@Suite struct OutputBufferTests {
  @Test func `an empty buffer has no memory`() {
    let buffer = OutputBuffer()
    #expect(buffer.isEmpty && buffer.count == 0 && buffer.capacity == 0 && buffer.last == nil)
    #expect(buffer.contents == [])
  }

  @Test func `bytes come out as they went in`() {
    var buffer = OutputBuffer()
    buffer.append(1)
    buffer.append("ab")
    [UInt8](3...5).withUnsafeBytes { buffer.append($0) }
    buffer.append(UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(buffer.contents == [1, 97, 98, 3, 4, 5])
    #expect(buffer.last == 5)
    #expect(buffer.count == 6)
  }

  @Test(
    arguments: [
      0, 1, 9, 10, 99, 100, -1, -10, .max, .min, 999_999_999_999_999_999, 1_000_000_000_000_000_000,
    ] as [Int64]) func `integers are decimal`(number: Int64)
  {
    var buffer = OutputBuffer()
    buffer.append(decimal: number)
    #expect(String(decoding: buffer.contents, as: UTF8.self) == String(number))
  }

  @Test func `the largest unsigned integer fits`() {
    var buffer = OutputBuffer()
    buffer.append(decimal: UInt64.max)
    buffer.append(decimal: UInt64.max / 10)
    #expect(
      String(decoding: buffer.contents, as: UTF8.self) == "\(UInt64.max)\(UInt64.max / 10)")
  }

  @Test func `what was sent leaves from the front`() {
    var buffer = OutputBuffer()
    buffer.append("hello, world")
    buffer.removeFirst(7)
    #expect(buffer.contents == Array("world".utf8))
    buffer.append("!")
    #expect(buffer.contents == Array("world!".utf8))
    buffer.removeFirst(6)
    #expect(buffer.count == 0)
    buffer.removeFirst(0)
  }

  @Test func `truncating drops from the end`() {
    var buffer = OutputBuffer()
    buffer.append("abcdef")
    buffer.removeFirst(2)
    buffer.truncate(to: 1)
    #expect(buffer.contents == Array("c".utf8))
  }

  @Test func `a steady flow through a buffer does not make it grow`() {
    var buffer = OutputBuffer()
    let chunk = [UInt8](0..<100)
    for _ in 0..<10_000 {
      chunk.withUnsafeBytes { buffer.append($0) }
      if buffer.count > 300 { buffer.removeFirst(100) }
    }
    #expect(buffer.capacity <= 1024)
  }

  @Test func `it equals a simple model, whatever is done to it`() {
    var generator = SeededGenerator(for: "buffer")
    var buffer = OutputBuffer()
    var model: [UInt8] = []
    for _ in 0..<5000 {
      switch generator.below(5) {
      case 0, 1:
        let bytes = generator.string().bytes
        bytes.withUnsafeBytes { buffer.append($0) }
        model += bytes
      case 2:
        let count = generator.below(model.count + 1)
        buffer.removeFirst(count)
        model.removeFirst(count)
      case 3:
        let count = model.count - min(model.count, generator.below(5))
        buffer.truncate(to: count)
        model.removeSubrange(count...)
      default:
        buffer.append(decimal: Int64(model.count))
        model += Array(String(model.count).utf8)
      }
      #expect(buffer.contents == model)
    }
  }

  @Test func `nothing can be appended to a buffer without memory`() {
    var buffer = OutputBuffer()
    [UInt8(1)][..<0].withUnsafeBytes { buffer.append($0) }
    #expect(buffer.isEmpty && buffer.capacity == 0)
  }

  @Test func `an idle buffer gives back memory beyond what it may keep`() {
    var buffer = OutputBuffer()
    buffer.reserve(100_000)
    buffer.append("x")
    buffer.shrink(keeping: 4096)
    #expect(buffer.capacity >= 100_000, "it still has a byte to send")
    buffer.removeFirst(1)
    buffer.shrink(keeping: 200_000)
    #expect(buffer.capacity >= 100_000)
    buffer.shrink(keeping: 4096)
    #expect(buffer.capacity == 0)
  }

  @Test func `memory goes from one empty buffer to another`() {
    var spare = OutputBuffer()
    spare.reserve(1000)
    var buffer = OutputBuffer()
    buffer.takeMemory(of: &spare)
    #expect(buffer.capacity >= 1000 && spare.capacity == 0)
    buffer.append("hello")
    spare.append("world")
    #expect(buffer.contents == Array("hello".utf8) && spare.contents == Array("world".utf8))
  }

  @Test func `release drops everything, and the buffer can be used again`() {
    var buffer = OutputBuffer()
    buffer.append("gone")
    buffer.release()
    #expect(buffer.isEmpty && buffer.capacity == 0)
    buffer.append("new")
    #expect(buffer.contents == Array("new".utf8))
  }

  /// A message of which a part is missing must not leave.
  @Test func `a writer does not forget that it lacked memory`() {
    // A macro cannot look into an expression with values that are not copied.
    let text = remembersShortage(TangoTextWriter(buffer: OutputBuffer()))
    let messagePack = remembersShortage(MessagePackWriter(buffer: OutputBuffer()))
    let json = remembersShortage(JSONWriter(buffer: OutputBuffer()))
    #expect(text)
    #expect(messagePack)
    #expect(json)
  }

  private func remembersShortage<Encoder: MessageEncoder & ~Copyable>(
    _ encoder: consuming Encoder
  ) -> Bool {
    encoder.buffer.append(UInt8(ascii: "x"))
    let waiting = encoder.buffer.count
    withUnsafeBytes(of: 0) { byte in
      // As many bytes as no system has.
      encoder.buffer.append(UnsafeRawBufferPointer(start: byte.baseAddress, count: 1 << 60))
    }
    guard encoder.buffer.lacksMemory else { return false }
    let value: Value = ["name": ["inner": 1]]
    value.write(to: &encoder)
    guard encoder.buffer.lacksMemory else { return false }
    encoder.buffer.truncate(to: waiting)
    return !encoder.buffer.lacksMemory && encoder.buffer.count == waiting
  }
}
