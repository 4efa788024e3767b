import MilongaRPC
import MilongaTestSupport
import Testing

/// Mutated messages, which the reader and the framing must survive.
@Suite struct FuzzTests {
  @Test func `no input breaks the reader or the framing`() throws {
    var generator = SeededGenerator(for: "fuzz")
    let limits = CodecLimits(depth: 12, values: 200, messageElements: 20)
    var accepted = 0
    for _ in 0..<1000 {
      let seed = frame(Value.table(generator.table(depth: 2)))
      for _ in 0..<100 {
        let input = generator.mutated(seed)
        checkFraming(input, maxBytes: 1 << 12)
        let body = input.drop { $0 != UInt8(ascii: "\n") }.dropFirst()
        if checkReader(Array(generator.below(4) == 0 ? input[...] : body), limits) { accepted += 1 }
      }
    }
    // Otherwise the mutations are too strong to reach what is behind the first error.
    #expect(accepted > 5000)
  }

  private func frame(_ value: Value) -> [UInt8] {
    var writer = TangoTextWriter()
    let frame = LengthLineFraming.open(in: &writer.buffer)
    value.write(to: &writer)
    LengthLineFraming.close(frame, in: &writer.buffer)
    return writer.buffer.contents
  }

  private func checkFraming(_ input: [UInt8], maxBytes: Int) {
    switch input.withUnsafeBytes({ LengthLineFraming.next(in: $0, maxBytes: maxBytes) }) {
    case .incomplete(let needed):
      if needed < 1 || needed > maxBytes + 2 { Issue.record("needs \(needed) for \(input)") }
    case .frame(let header, let body):
      if header < 2 || header > 22 || body < 0 || body > maxBytes || header + body > input.count {
        Issue.record("frame of \(header) and \(body) bytes in \(input)")
      }
    case .invalid(let error):
      if error.description.isEmpty { Issue.record("error without message for \(input)") }
    }
  }

  private func checkReader(_ input: [UInt8], _ limits: CodecLimits) -> Bool {
    do throws(CodecError) {
      let elements = try message(input, limits: limits)
      let table = Value.table(Table(elements: elements))
      var counter = Counter()
      table.write(to: &counter)
      if elements.count > limits.messageElements || counter.deepest > limits.depth
        || counter.values - elements.count > limits.values
      {
        Issue.record("limits exceeded by \(table)")
      }
      let again = try message(bytes(table), limits: CodecLimits())
      if !identical(.table(Table(elements: again)), table) {
        Issue.record("\(table) became \(again)")
      }
      return true
    } catch {
      if error.offset < 0 || error.offset > input.count || error.expected.isEmpty
        || error.found.isEmpty || error.description.utf8.count > 200
      {
        Issue.record("bad error \(error) for \(input)")
      }
      return false
    }
  }
}

private struct Counter: ValueSink {
  var values = 0
  var deepest = 0
  private var depth = 0

  mutating func null() { values += 1 }
  mutating func boolean(_ value: Bool) { values += 1 }
  mutating func integer(_ value: Int64) { values += 1 }
  mutating func number(_ value: Double) { values += 1 }
  mutating func string(_ bytes: UnsafeRawBufferPointer) { values += 1 }
  mutating func beginTable(elements: Int, entries: Int) {
    values += 1
    depth += 1
    deepest = max(deepest, depth)
  }
  mutating func endTable() { depth -= 1 }
}

extension SeededGenerator {
  /// A copy of `input` with one to three small changes.
  mutating func mutated(_ input: [UInt8]) -> [UInt8] {
    var input = input
    for _ in 0...below(3) { mutate(&input) }
    return input
  }

  private mutating func mutate(_ input: inout [UInt8]) {
    let place = below(input.count + 1)
    switch below(8) {
    case 0 where place < input.count: input[place] ^= 1 << below(8)
    case 1: input.removeSubrange(place...)
    case 2: input.removeSubrange(place..<min(input.count, place + below(6)))
    case 3:
      let from = below(input.count + 1)
      input.insert(contentsOf: input[from..<min(input.count, from + below(20))], at: place)
    case 4:
      let bracket = Array("{}[]()\"'".utf8)[below(8)]
      input.insert(contentsOf: repeatElement(bracket, count: below(30)), at: place)
    case 5:
      let digit = UInt8(ascii: "0") + UInt8(below(10))
      input.insert(contentsOf: repeatElement(digit, count: below(40)), at: place)
    default:
      let tokens = [
        ",", ";", "=", "nil", "0/0", "-", "1e999", "inf", "{}", "[2]=", "a=", "\\", "\\0", "\n",
        "\r",
        " ", "0x", ".", "e", "return ", "\"", "--", "[[", "é", "1/0",
      ]
      input.insert(contentsOf: tokens[below(tokens.count)].utf8, at: place)
    }
  }
}
