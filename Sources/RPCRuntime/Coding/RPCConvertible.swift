public import MilongaRPC

/// A type that says by itself what it is on the wire, for those that `Codable` does not describe
/// well.
///
/// Types that are `Encodable` or `Decodable` travel without this protocol: structs as tables with
/// string keys, arrays as tables of elements, enumerations by their raw values.
public protocol RPCConvertible: Codable {
  /// - Throws: any error; the call fails with it.
  init(rpcValue: RPCValue) throws

  /// The value as it travels.
  var rpcValue: RPCValue { get throws }
}

extension RPCConvertible {
  public init(from decoder: any Decoder) throws {
    guard let decoder = decoder as? ValueDecoder else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription: "\(Self.self) can be decoded from messages of tango only"))
    }
    self = try Self(rpcValue: decoder.value)
  }

  public func encode(to encoder: any Encoder) throws {
    guard let encoder = encoder as? ValueEncoder else {
      throw EncodingError.invalidValue(
        self,
        .init(
          codingPath: encoder.codingPath,
          debugDescription: "\(Self.self) can be encoded into messages of tango only"))
    }
    encoder.place.value = try rpcValue
  }
}

extension Value: RPCConvertible {
  public init(rpcValue: RPCValue) { self = rpcValue }
  public var rpcValue: RPCValue { self }
}

extension ByteString: RPCConvertible {
  public init(rpcValue: RPCValue) throws {
    guard case .string(let bytes) = rpcValue else {
      throw RPCTypeError(expected: "string", found: rpcValue.typeName)
    }
    self = bytes
  }

  public var rpcValue: RPCValue { .string(self) }
}
