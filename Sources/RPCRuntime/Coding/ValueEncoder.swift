package import MilongaRPC

/// Turns what is `Encodable` into values.
package struct ValueEncoder: Encoder {
  /// Where an encoded value goes; containers fill it piece by piece.
  final class Place {
    var value = Value.null
    fileprivate var elements: [Place] = []
    fileprivate var entries: [(key: String, place: Place)] = []
    fileprivate var kind = Kind.value

    fileprivate enum Kind { case value, elements, entries }

    /// The value with everything in it.
    var complete: Value {
      switch kind {
      case .value: value
      case .elements: .table(Table(elements: elements.map(\.complete)))
      case .entries:
        .table(
          Table(
            entries: entries.map {
              Table.Entry(key: .string(ByteString($0.key)), value: $0.place.complete)
            }))
      }
    }
  }

  let place: Place
  package let codingPath: [any CodingKey]
  package var userInfo: [CodingUserInfoKey: Any] { [:] }

  /// - Throws: what the value's `encode(to:)` throws.
  package static func encode(_ value: some Encodable) throws -> Value {
    let place = Place()
    try encode(value, at: place, [])
    return place.complete
  }

  fileprivate static func encode(
    _ value: some Encodable, at place: Place, _ path: [any CodingKey]
  ) throws {
    if let keyed = value as? any IntegerKeyed {
      place.value = try keyed.keyedTable
    } else {
      try value.encode(to: ValueEncoder(place: place, codingPath: path))
    }
  }

  package func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    place.kind = .entries
    return KeyedEncodingContainer(KeyedContainer(place: place, codingPath: codingPath))
  }

  package func unkeyedContainer() -> any UnkeyedEncodingContainer {
    place.kind = .elements
    return UnkeyedContainer(place: place, codingPath: codingPath)
  }

  package func singleValueContainer() -> any SingleValueEncodingContainer {
    SingleContainer(place: place, codingPath: codingPath)
  }
}

/// A dictionary with integer keys. `Codable` would write them as text.
private protocol IntegerKeyed {
  var keyedTable: Value { get throws }
}

extension Dictionary: IntegerKeyed where Key == Int, Value: Encodable {
  fileprivate var keyedTable: MilongaRPC.Value {
    get throws {
      .table(
        Table(
          entries: try map { entry in
            Table.Entry(
              key: .integer(Int64(entry.key)), value: try ValueEncoder.encode(entry.value))
          }))
    }
  }
}

private struct KeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let place: ValueEncoder.Place
  let codingPath: [any CodingKey]

  private func newPlace(_ key: some CodingKey) -> ValueEncoder.Place {
    let new = ValueEncoder.Place()
    place.entries.append((key.stringValue, new))
    return new
  }

  mutating func encodeNil(forKey key: Key) throws {}

  mutating func encode(_ value: some Encodable, forKey key: Key) throws {
    try ValueEncoder.encode(value, at: newPlace(key), codingPath + [key])
  }

  mutating func nestedContainer<NestedKey: CodingKey>(
    keyedBy keyType: NestedKey.Type, forKey key: Key
  ) -> KeyedEncodingContainer<NestedKey> {
    ValueEncoder(place: newPlace(key), codingPath: codingPath + [key]).container(keyedBy: keyType)
  }

  mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    ValueEncoder(place: newPlace(key), codingPath: codingPath + [key]).unkeyedContainer()
  }

  mutating func superEncoder() -> any Encoder { superEncoder(named: SuperKey()) }

  mutating func superEncoder(forKey key: Key) -> any Encoder { superEncoder(named: key) }

  private func superEncoder(named key: some CodingKey) -> any Encoder {
    ValueEncoder(place: newPlace(key), codingPath: codingPath + [key])
  }
}

private struct UnkeyedContainer: UnkeyedEncodingContainer {
  let place: ValueEncoder.Place
  let codingPath: [any CodingKey]
  var count: Int { place.elements.count }

  private func newPlace() -> ValueEncoder.Place {
    let new = ValueEncoder.Place()
    place.elements.append(new)
    return new
  }

  mutating func encodeNil() throws { _ = newPlace() }

  mutating func encode(_ value: some Encodable) throws {
    try ValueEncoder.encode(value, at: newPlace(), codingPath)
  }

  mutating func nestedContainer<NestedKey: CodingKey>(
    keyedBy keyType: NestedKey.Type
  ) -> KeyedEncodingContainer<NestedKey> {
    ValueEncoder(place: newPlace(), codingPath: codingPath).container(keyedBy: keyType)
  }

  mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    ValueEncoder(place: newPlace(), codingPath: codingPath).unkeyedContainer()
  }

  mutating func superEncoder() -> any Encoder {
    ValueEncoder(place: newPlace(), codingPath: codingPath)
  }
}

private struct SingleContainer: SingleValueEncodingContainer {
  let place: ValueEncoder.Place
  let codingPath: [any CodingKey]

  mutating func encodeNil() throws { place.value = .null }
  mutating func encode(_ value: Bool) throws { place.value = .boolean(value) }
  mutating func encode(_ value: String) throws { place.value = .string(ByteString(value)) }
  mutating func encode(_ value: Double) throws { place.value = .number(value) }
  mutating func encode(_ value: Float) throws { place.value = .number(Double(value)) }
  mutating func encode(_ value: Int) throws { try encode(integer: value) }
  mutating func encode(_ value: Int8) throws { try encode(integer: value) }
  mutating func encode(_ value: Int16) throws { try encode(integer: value) }
  mutating func encode(_ value: Int32) throws { try encode(integer: value) }
  mutating func encode(_ value: Int64) throws { try encode(integer: value) }
  mutating func encode(_ value: UInt) throws { try encode(integer: value) }
  mutating func encode(_ value: UInt8) throws { try encode(integer: value) }
  mutating func encode(_ value: UInt16) throws { try encode(integer: value) }
  mutating func encode(_ value: UInt32) throws { try encode(integer: value) }
  mutating func encode(_ value: UInt64) throws { try encode(integer: value) }

  mutating func encode(_ value: some Encodable) throws {
    try ValueEncoder.encode(value, at: place, codingPath)
  }

  private func encode(integer value: some FixedWidthInteger) throws {
    guard let integer = Int64(exactly: value) else {
      throw EncodingError.invalidValue(
        value,
        .init(
          codingPath: codingPath,
          debugDescription: "\(value) is beyond the 64 bits of Lua's integers; send a Double"))
    }
    place.value = .integer(integer)
  }
}

/// What `superEncoder()` without a key is called, as in the standard library's coders.
struct SuperKey: CodingKey {
  var stringValue: String { "super" }
  var intValue: Int? { nil }
  init() {}
  init?(stringValue: String) { nil }
  init?(intValue: Int) { nil }
}
