import MilongaRPC
import MilongaTestSupport

extension SeededGenerator {
  mutating func value(depth: Int = 3) -> Value {
    switch below(depth > 0 ? 9 : 6) {
    case 0: .null
    case 1: .boolean(Bool.random(using: &self))
    case 2: .integer(integer())
    case 3: .number(number())
    case 4, 5: .string(string())
    default: .table(table(depth: depth - 1))
    }
  }

  mutating func table(depth: Int = 3) -> Table {
    var table = Table()
    for _ in 0..<below(5) { table.elements.append(value(depth: depth)) }
    for _ in 0..<below(5) {
      table.entries.append(Table.Entry(key: key(depth: depth), value: value(depth: depth)))
    }
    return table
  }

  /// Anything but nil and not-a-number.
  mutating func key(depth: Int) -> Value {
    let words = ["a", "_", "x1", "end", "goto", "nil", "inf", "", "b c", "1a", "return", "\u{e9}"]
    if below(2) == 0 { return .string(ByteString(words[below(words.count)])) }
    while true {
      switch value(depth: depth) {
      case .null: continue
      case .number(let number) where number.isNaN: continue
      case let key: return key
      }
    }
  }

  mutating func integer() -> Int64 {
    let special: [Int64] = [0, 1, -1, .max, .min, .max - 1, .min + 1, 1 << 53, -1 << 53]
    switch below(4) {
    case 0: return special[below(special.count)]
    case 1: return Int64(truncatingIfNeeded: next())
    case 2: return Int64(truncatingIfNeeded: next()) >> Int64(below(64))
    default: return Int64(below(1000)) - 500
    }
  }

  mutating func number() -> Double {
    let special: [Double] = [
      0, -0.0, 1, -1, 0.1, 1e15, 1e16, 1e22, 1e23, 1e100, .leastNonzeroMagnitude, 0x1p53, 0x1p63,
      -0x1p63,
      .greatestFiniteMagnitude, .leastNormalMagnitude, .infinity, -.infinity, .nan,
    ]
    switch below(4) {
    case 0: return special[below(special.count)]
    case 1: return Double(bitPattern: next())
    case 2: return Double(below(1_000_000)) / 1000
    default: return Double(integer())
    }
  }

  mutating func string() -> ByteString {
    let special = Array("\0\n\r\t\"\\'09[]{}=,;\u{7f}\u{ff}".utf8)
    let mode = below(3)
    return ByteString(
      (0..<below(below(8) == 0 ? 300 : 24)).map { _ in
        switch mode {
        case 0: UInt8(truncatingIfNeeded: next())
        case 1: special[below(special.count)]
        default: UInt8(ascii: "a") + UInt8(below(26))
        }
      })
  }
}
