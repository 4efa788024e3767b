extension TangoTextParser {
  /// value = constant | string | table | number
  @inlinable
  @inline(__always)
  mutating func value<Sink: ValueSink & ~Copyable>(into sink: inout Sink) throws(CodecError) {
    switch peek {
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      try countValue()
      try string(into: &sink)
    case UInt8(ascii: "{"):
      try countValue()
      try table(into: &sink)
    default:
      try countValue()
      switch try scalar() {
      case .null: sink.null()
      case .boolean(let value): sink.boolean(value)
      case .integer(let value): sink.integer(value)
      case .number(let value): sink.number(value)
      }
    }
  }

  /// The values that need no memory.
  @usableFromInline
  enum Scalar {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
  }

  @usableFromInline
  mutating func scalar() throws(CodecError) -> Scalar {
    guard isNameStart(peek) else { return try number() }
    let place = position
    let word = word()
    if word.isEqual(to: "true") { return .boolean(true) }
    if word.isEqual(to: "false") { return .boolean(false) }
    if word.isEqual(to: "nil") { return .null }
    position = place
    return try number()
  }
}
