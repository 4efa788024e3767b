public import MilongaRPC

/// What travels in a message: nil, booleans, integers, floats, strings of any bytes, tables.
public typealias TangoValue = Value

/// A type that says by itself what it is on the wire, for those that `Codable` does not describe well.
///
/// Types that are `Encodable` or `Decodable` travel without this protocol: structs as tables with string keys,
/// arrays as tables of elements, enumerations by their raw values.
public protocol TangoConvertible: Codable {
  /// - Throws: any error; the call fails with it.
  init(tangoValue: TangoValue) throws

  /// The value as it travels.
  var tangoValue: TangoValue { get throws }
}

extension TangoConvertible {
  public init(from decoder: any Decoder) throws {
    guard let decoder = decoder as? TangoDecoder else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription: "\(Self.self) can be decoded from messages of tango only"))
    }
    self = try Self(tangoValue: decoder.value)
  }

  public func encode(to encoder: any Encoder) throws {
    guard let encoder = encoder as? TangoEncoder else {
      throw EncodingError.invalidValue(
        self,
        .init(
          codingPath: encoder.codingPath,
          debugDescription: "\(Self.self) can be encoded into messages of tango only"))
    }
    encoder.place.value = try tangoValue
  }
}

extension Value: TangoConvertible {
  public init(tangoValue: TangoValue) { self = tangoValue }
  public var tangoValue: TangoValue { self }
}

extension ByteString: TangoConvertible {
  public init(tangoValue: TangoValue) throws {
    guard case .string(let bytes) = tangoValue else {
      throw TangoTypeError(expected: "string", found: tangoValue.typeName)
    }
    self = bytes
  }

  public var tangoValue: TangoValue { .string(self) }
}

extension Value {
  /// What Lua's `type` says of it.
  var typeName: String {
    switch self {
    case .null: "nil"
    case .boolean: "boolean"
    case .integer, .number: "number"
    case .string: "string"
    case .table: "table"
    }
  }
}

/// A value that has another type than was asked for.
public struct TangoTypeError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was asked for: a Swift type, or a type of Lua.
  public let expected: String
  /// What is there, and why it does not do.
  public let found: String

  public init(expected: String, found: String) {
    self.expected = expected
    self.found = found
  }

  public var description: String { "expected \(expected), got \(found)" }
}
