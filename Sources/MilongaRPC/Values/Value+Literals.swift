extension Value: ExpressibleByNilLiteral {
  /// `nil` is ``Value/null``.
  public init(nilLiteral: ()) { self = .null }
}

extension Value: ExpressibleByBooleanLiteral {
  /// `true` and `false` are ``Value/boolean(_:)``.
  public init(booleanLiteral value: Bool) { self = .boolean(value) }
}

extension Value: ExpressibleByIntegerLiteral {
  /// `1` is ``Value/integer(_:)``.
  public init(integerLiteral value: Int64) { self = .integer(value) }
}

extension Value: ExpressibleByFloatLiteral {
  /// `1.0` is ``Value/number(_:)``.
  public init(floatLiteral value: Double) { self = .number(value) }
}

extension Value: ExpressibleByStringLiteral {
  /// `"text"` is ``Value/string(_:)``.
  public init(stringLiteral value: String) { self = .string(ByteString(value)) }
}

extension Value: ExpressibleByArrayLiteral {
  /// `[1, 2]` is a table of elements.
  public init(arrayLiteral elements: Value...) { self = .table(Table(elements: elements)) }
}

extension Value: ExpressibleByDictionaryLiteral {
  /// `["a": 1]` is a table of entries, in the order written.
  public init(dictionaryLiteral entries: (Value, Value)...) {
    self = .table(Table(entries: entries.map { Table.Entry(key: $0, value: $1) }))
  }
}
