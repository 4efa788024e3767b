/// A value that tango can send, for programs that want it as a tree.
///
/// Equality is that of the cases: `.integer(1)` is not `.number(1)`, and a not-a-number is not
/// equal to itself. No case needs `indirect`, because tables keep their contents in arrays.
public enum Value: Sendable, Hashable {
  /// Nil.
  case null

  /// A boolean.
  case boolean(Bool)

  /// An integer.
  case integer(Int64)

  /// A float.
  case number(Double)

  /// A string of any bytes.
  case string(ByteString)

  /// A table.
  case table(Table)
}

extension Value {
  /// Sends the value to `sink`, with everything in it.
  ///
  /// Entries whose key is nil or not a number, which no Lua table can have, are left out.
  @inlinable
  public func write<Sink: ValueSink & ~Copyable>(to sink: inout Sink) {
    switch self {
    case .null: sink.null()
    case .boolean(let value): sink.boolean(value)
    case .integer(let value): sink.integer(value)
    case .number(let value): sink.number(value)
    case .string(let value): value.bytes.withUnsafeBytes { sink.string($0) }
    case .table(let value): value.write(to: &sink)
    }
  }

  /// Whether a table may have this as a key: anything but nil and not a number.
  @inlinable
  var isKey: Bool {
    switch self {
    case .null: false
    case .number(let value): !value.isNaN
    default: true
    }
  }
}
