package import MilongaRPC

/// A value on its way out. What the program does in `encode(to:)` has been done: it may take long, call, or let go of
/// objects that call, and so it must not run while a connection is locked.
package enum EncodedValue: Sendable {
  /// The most frequent one needs no copy.
  case string(String)
  case value(Value)

  /// - Throws: what the value's `encode(to:)` throws.
  package init<T: Encodable>(_ value: T) throws {
    self = try EncodedValue(scalar: value) ?? .value(TangoEncoder.encode(value))
  }

  /// The common scalars need no encoder; nil for all else.
  package init?<T>(scalar value: T) {
    if T.self == String.self {
      self = .string(same(value))
    } else if T.self == Int.self {
      self = .value(.integer(Int64(same(value) as Int)))
    } else if T.self == Double.self {
      self = .value(.number(same(value)))
    } else if T.self == Bool.self {
      self = .value(.boolean(same(value)))
    } else {
      return nil
    }
  }
}

extension TangoTextWriter {
  /// Writes what the program gives as element `index` of the message: the same as encoding it first, for writers that
  /// nobody else uses meanwhile.
  mutating func element<T: Encodable>(_ index: Int, encoding value: T) throws {
    guard T.self == String.self else { return element(index, try EncodedValue(value)) }
    beginElement(index)
    var text: String = same(value)
    text.withUTF8 { string(UnsafeRawBufferPointer($0)) }
  }

  /// Writes the value as element `index` of the message.
  mutating func element(_ index: Int, _ value: EncodedValue) {
    beginElement(index)
    switch value {
    case .string(var text): text.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    case .value(let value): value.write(to: &self)
    }
  }
}
