/// A sink that writes JSON without spaces; see ``JSON``.
public struct JSONWriter: ~Copyable {
  /// Where the text goes.
  public var buffer: OutputBuffer

  /// What was met and has no place in JSON; see ``MessageEncoder/refusal``.
  public private(set) var refusal: StaticString?

  // Whether the tables that are open, 64 levels of them on either side, are objects.
  private var objects = BitStack()
  private var isKey = false

  /// A writer that appends to `buffer`.
  public init(buffer: consuming OutputBuffer = OutputBuffer()) { self.buffer = buffer }
}

/// Bits, the last of which is taken first.
struct BitStack {
  private var top: UInt64 = 0
  private var count = 0
  private var below: [UInt64] = []

  var last: Bool { top & 1 != 0 }

  mutating func push(_ bit: Bool) {
    if count == 64 {
      below.append(top)
      count = 0
    }
    top = top << 1 | (bit ? 1 : 0)
    count += 1
  }

  mutating func pop() {
    top >>= 1
    count -= 1
    if count == 0, let word = below.popLast() {
      top = word
      count = 64
    }
  }
}

extension JSONWriter: ValueSink {
  /// Whether a table is an array shows in its first byte.
  public static var tableShape: TableShape { .listed }

  /// Writes `null`.
  public mutating func null() {
    if isKey { return refuse("a key that is nil") }
    buffer.append("null")
  }

  /// Writes `true` or `false`.
  public mutating func boolean(_ value: Bool) {
    if isKey { return refuse("a key that is a boolean") }
    if value { buffer.append("true") } else { buffer.append("false") }
  }

  /// Writes decimal digits; in quotes where that is a key.
  public mutating func integer(_ value: Int64) {
    quoteKey()
    buffer.append(decimal: value)
    quoteKey()
  }

  /// Writes the shortest decimal that reads back as the same float, and as a float.
  public mutating func number(_ value: Double) {
    guard value.isFinite else {
      return refuse(value.isNaN ? "a number that is none (0/0)" : "an infinite number")
    }
    quoteKey()
    if value.magnitude < 0x1p53, let whole = value.wholeNumber, whole != 0 {
      buffer.append(decimal: whole)
      buffer.append(".0")
    } else {
      var text = value.description
      text.withUTF8 { buffer.append(UnsafeRawBufferPointer($0)) }
    }
    quoteKey()
  }

  private mutating func quoteKey() { if isKey { buffer.append(UInt8(ascii: "\"")) } }

  /// Writes a string.
  public mutating func string(_ bytes: UnsafeRawBufferPointer) {
    buffer.reserve(bytes.count + 2)
    buffer.append(UInt8(ascii: "\""))
    if var place = bytes.baseAddress {
      let end = place + bytes.count
      while true {
        let special = firstJSONSpecial(place, end)
        buffer.append(place, special - place)
        if special == end { break }
        escape(special.load(as: UInt8.self))
        place = special + 1
      }
    }
    buffer.append(UInt8(ascii: "\""))
  }

  private mutating func escape(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""): buffer.append("\\\"")
    case UInt8(ascii: "\\"): buffer.append("\\\\")
    case 8: buffer.append("\\b")
    case 9: buffer.append("\\t")
    case 10: buffer.append("\\n")
    case 12: buffer.append("\\f")
    case 13: buffer.append("\\r")
    default:
      buffer.append("\\u00")
      buffer.append(hexDigits[Int(byte >> 4)])
      buffer.append(hexDigits[Int(byte & 15)])
    }
  }

  /// Writes `[`, or `{` if there are entries or nothing at all.
  public mutating func beginTable(elements: Int, entries: Int) {
    if isKey { refuse("a key that is a table") }
    let isObject = entries > 0 || elements == 0
    objects.push(isObject)
    buffer.append(isObject ? UInt8(ascii: "{") : UInt8(ascii: "["))
  }

  /// Writes a comma unless the table has just begun; in an object the index as a key.
  public mutating func beginElement(_ index: Int) {
    separate()
    guard objects.last else { return }
    isKey = true
    integer(Int64(index))
    beginValue()
  }

  private mutating func separate() {
    // The last byte tells: no value ends with an opening bracket, for a string ends with a quote.
    switch buffer.last {
    case UInt8(ascii: "["), UInt8(ascii: "{"): break
    default: buffer.append(UInt8(ascii: ","))
    }
  }

  /// Writes a comma unless the table has just begun.
  public mutating func beginKey() {
    separate()
    isKey = true
  }

  /// Writes a colon.
  public mutating func beginValue() {
    isKey = false
    buffer.append(UInt8(ascii: ":"))
  }

  /// Writes `]` or `}`.
  public mutating func endTable() {
    buffer.append(objects.last ? UInt8(ascii: "}") : UInt8(ascii: "]"))
    objects.pop()
  }

  private mutating func refuse(_ what: StaticString) {
    if refusal == nil { refusal = what }
  }
}

extension JSONWriter: MessageEncoder {
  /// Starts the message's array.
  public mutating func beginMessage(elements: Int) {
    objects.push(false)
    buffer.append(UInt8(ascii: "["))
  }

  /// Ends the message's array.
  public mutating func endMessage() { endTable() }

  /// Forgets the tables that are open, and what was refused.
  public mutating func breakOff() {
    objects = BitStack()
    isKey = false
    refusal = nil
  }
}

private let hexDigits = Array("0123456789abcdef".utf8)

/// The first byte in `first..<end` that must be escaped in JSON, or `end`.
private func firstJSONSpecial(
  _ first: UnsafeRawPointer, _ end: UnsafeRawPointer
) -> UnsafeRawPointer {
  var position = first
  while end - position >= 8 {
    let special = specialJSONBytes(position.loadUnaligned(as: UInt64.self))
    if special != 0 { return position + special.trailingZeroBitCount / 8 }
    position += 8
  }
  while position < end {
    let byte = position.load(as: UInt8.self)
    if byte < 32 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return position }
    position += 1
  }
  return end
}

/// As ``specialBytes(_:_:)``, for control characters, quotes and backslashes.
@inline(__always)
private func specialJSONBytes(_ word: UInt64) -> UInt64 {
  let word = UInt64(littleEndian: word)
  let quote = (word ^ (everyByte &* UInt64(UInt8(ascii: "\"")))) &- everyByte
  let backslash = (word ^ (everyByte &* UInt64(UInt8(ascii: "\\")))) &- everyByte
  let control = word &- everyByte &* 32
  return (quote | backslash | control) & ~word & everyHighBit
}
