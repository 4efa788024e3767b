import MilongaRPC
import MilongaTestSupport
import Testing

/// The same random values through every codec, and mutated bytes into every reader.
@Suite struct CodecComparisonTests {
  @Test func `MessagePack and tango's text give the same values`() throws {
    var generator = SeededGenerator(for: "codecs")
    for _ in 0..<3000 {
      let value = generator.value()
      let unpacked = try unpacked(messagePack(value))
      // Elements beside entries become entries, in the place where they were.
      #expect(identical(unpacked, withKeys(value)), "\(value)")
      let text = try MilongaRPCTests.value(bytes(unpacked))
      #expect(identical(text, unpacked), "\(unpacked)")
    }
  }

  @Test func `JSON and MessagePack give the same values, as far as JSON has them`() throws {
    var generator = SeededGenerator(for: "json")
    var compared = 0
    for _ in 0..<3000 {
      let value = plain(generator.value())
      guard let text = json(value) else { continue }
      compared += 1
      #expect(identical(try parsed(text), value), "\(value)")
      #expect(identical(try unpacked(messagePack(value)), value), "\(value)")
    }
    #expect(compared > 1500)
  }

  @Test func `no input breaks the readers`() throws {
    var generator = SeededGenerator(for: "codecs fuzz")
    let limits = CodecLimits(depth: 12, values: 200, messageElements: 20)
    var accepted = (0, 0)
    for _ in 0..<800 {
      let value = plain(generator.value(depth: 2))
      let packed = messagePack(value)
      let text = jsonBytes(value) ?? Array("[1,{\"a\":[null,\"\\u00e9\"]}]".utf8)
      for _ in 0..<50 {
        if try survives(generator.damaged(packed), limits, unpacked, messagePack) {
          accepted.0 += 1
        }
        if try survives(
          generator.damaged(text), limits,
          { (input, limits) throws(CodecError) in try parsed(input, limits) },
          jsonBytes)
        {
          accepted.1 += 1
        }
        _ = try? packedMessage(generator.damaged(packed), limits)
        _ = try? jsonMessage(String(decoding: generator.damaged(text), as: UTF8.self), limits)
      }
    }
    #expect(accepted.0 > 2000 && accepted.1 > 2000)
  }

  /// Whether the reader took the input; then what it read is read again.
  private func survives(
    _ input: [UInt8], _ limits: CodecLimits,
    _ read: ([UInt8], CodecLimits) throws(CodecError) -> Value, _ write: (Value) -> [UInt8]?
  ) throws -> Bool {
    let value: Value
    do throws(CodecError) {
      value = try read(input, limits)
    } catch {
      if error.offset < 0 || error.offset > input.count || error.expected.isEmpty {
        Issue.record("bad error \(error) for \(input)")
      }
      return false
    }
    if let bytes = write(value) {
      let again = try read(bytes, CodecLimits())
      if !identical(again, value) { Issue.record("\(value) became \(again)") }
    }
    return true
  }
}

/// The value as a map has it: elements beside entries are entries, too.
private func withKeys(_ value: Value) -> Value {
  guard case .table(let table) = value else { return value }
  let elements = table.elements.map(withKeys)
  let entries = table.entries.map {
    Table.Entry(key: withKeys($0.key), value: withKeys($0.value))
  }
  guard !entries.isEmpty else { return .table(Table(elements: elements)) }
  let indexed = elements.enumerated().map {
    Table.Entry(key: .integer(Int64($0.offset + 1)), value: $0.element)
  }
  return .table(Table(entries: indexed + entries))
}

/// The value with nothing that JSON tells otherwise: lists, or tables with strings that are UTF-8
/// as keys.
private func plain(_ value: Value) -> Value {
  switch value {
  case .string(let text): return .string(ByteString(text.description))
  case .number(let number): return number.isFinite ? value : .number(0.5)
  case .table(let table):
    let entries = table.entries.enumerated().map {
      Table.Entry(key: .string(ByteString("k\($0.offset)")), value: plain($0.element.value))
    }
    return .table(
      entries.isEmpty
        ? Table(elements: table.elements.map(plain)) : Table(elements: [], entries: entries))
  default: return value
  }
}

extension SeededGenerator {
  /// A copy of `input` with a few small changes.
  fileprivate mutating func damaged(_ input: [UInt8]) -> [UInt8] {
    var input = input
    for _ in 0..<below(4) {
      let place = below(input.count + 1)
      switch below(5) {
      case 0 where place < input.count: input[place] ^= 1 << below(8)
      case 1 where place < input.count: input[place] = UInt8(truncatingIfNeeded: next())
      case 2: input.removeSubrange(place...)
      case 3: input.insert(UInt8(truncatingIfNeeded: next()), at: place)
      default:
        let tokens = ["[", "]", "{", "}", ",", ":", "\"", "\\u", "null", "-", "e5", ".", "0"]
        input.insert(contentsOf: tokens[below(tokens.count)].utf8, at: place)
      }
    }
    return input
  }
}
