import MilongaRPC

/// Turns values into what is `Decodable`.
struct ValueDecoder: Decoder {
  let value: Value
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  /// - Throws: `DecodingError`, which names what was expected, what is there, and where.
  static func decode<T: Decodable>(
    _ type: T.Type, from value: Value, _ path: [any CodingKey] = []
  ) throws -> T {
    if let keyed = type as? any IntegerKeyed.Type {
      return try keyed.make(value, path) as! T
    }
    return try T(from: ValueDecoder(value: value, codingPath: path))
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .table(let table) = value else { throw mismatch([String: Value].self, "a table") }
    return KeyedDecodingContainer(KeyedContainer(table, codingPath))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .table(let table) = value else { throw mismatch([Value].self, "a table") }
    return UnkeyedContainer(elements: try table.list(codingPath), codingPath: codingPath)
  }

  func singleValueContainer() throws -> any SingleValueDecodingContainer {
    SingleContainer(value: value, codingPath: codingPath)
  }

  private func mismatch(_ type: Any.Type, _ expected: String) -> DecodingError {
    .mismatch(type, expected, value, codingPath)
  }
}

extension DecodingError {
  fileprivate static func mismatch(
    _ type: Any.Type, _ expected: String, _ value: Value, _ path: [any CodingKey]
  ) -> DecodingError {
    let context = Context(
      codingPath: path, debugDescription: "expected \(expected), got \(value.typeName)")
    if case .null = value { return .valueNotFound(type, context) }
    return .typeMismatch(type, context)
  }
}

extension Table {
  /// The values of the keys 1, 2, 3, ..., wherever they were written.
  fileprivate func list(_ path: [any CodingKey]) throws -> [Value] {
    if entries.isEmpty { return elements }
    var list = elements
    var others: [Int64: Value] = [:]
    for entry in entries {
      guard case .integer(let index) = entry.key else {
        throw DecodingError.dataCorrupted(
          .init(
            codingPath: path,
            debugDescription: "expected a list, got a table with the key \(entry.key)"))
      }
      others[index] = entry.value
    }
    while let next = others.removeValue(forKey: Int64(list.count + 1)) { list.append(next) }
    guard others.isEmpty else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: path,
          debugDescription: "expected a list, got a table with \(list.count) elements and the key "
            + "\(others.keys.min()!)"))
    }
    return list
  }
}

/// A dictionary with integer keys, which `Codable` would expect as text.
private protocol IntegerKeyed {
  static func make(_ value: Value, _ path: [any CodingKey]) throws -> Self
}

extension Dictionary: IntegerKeyed where Key == Int, Value: Decodable {
  fileprivate static func make(
    _ value: MilongaRPC.Value, _ path: [any CodingKey]
  ) throws -> [Int: Value] {
    guard case .table(let table) = value else {
      throw DecodingError.mismatch(Self.self, "a table", value, path)
    }
    var result: [Int: Value] = [:]
    for (offset, element) in table.elements.enumerated() where element != .null {
      result[offset + 1] = try ValueDecoder.decode(Value.self, from: element, path)
    }
    for entry in table.entries {
      guard case .integer(let key) = entry.key else {
        throw DecodingError.mismatch(Int.self, "an integer key", entry.key, path)
      }
      result[Int(key)] = try ValueDecoder.decode(Value.self, from: entry.value, path)
    }
    return result
  }
}

private struct KeyedContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
  private var values: [String: Value] = [:]
  let codingPath: [any CodingKey]

  init(_ table: Table, _ codingPath: [any CodingKey]) {
    self.codingPath = codingPath
    for (offset, element) in table.elements.enumerated() where element != .null {
      values[String(offset + 1)] = element
    }
    for entry in table.entries {
      switch entry.key {
      case .string(let name): values[name.description] = entry.value
      case .integer(let number): values[String(number)] = entry.value
      default: continue
      }
    }
  }

  var allKeys: [Key] { values.keys.compactMap { Key(stringValue: $0) } }
  func contains(_ key: Key) -> Bool { values[key.stringValue] != nil }

  func decodeNil(forKey key: Key) throws -> Bool {
    (values[key.stringValue] ?? .null) == .null
  }

  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
    try ValueDecoder.decode(type, from: try value(key), codingPath + [key])
  }

  private func value(_ key: some CodingKey) throws -> Value {
    guard let value = values[key.stringValue] else {
      throw DecodingError.keyNotFound(
        key, .init(codingPath: codingPath, debugDescription: "no field '\(key.stringValue)'"))
    }
    return value
  }

  private func decoder(_ key: some CodingKey) throws -> ValueDecoder {
    ValueDecoder(value: try value(key), codingPath: codingPath + [key])
  }

  func nestedContainer<NestedKey: CodingKey>(
    keyedBy type: NestedKey.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<NestedKey> {
    try decoder(key).container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try decoder(key).unkeyedContainer()
  }

  func superDecoder() throws -> any Decoder { try decoder(SuperKey()) }
  func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

private struct UnkeyedContainer: UnkeyedDecodingContainer {
  let elements: [Value]
  let codingPath: [any CodingKey]
  var currentIndex = 0

  var count: Int? { elements.count }
  var isAtEnd: Bool { currentIndex == elements.count }

  private mutating func next() throws -> Value {
    guard !isAtEnd else {
      throw DecodingError.valueNotFound(
        Value.self,
        .init(
          codingPath: codingPath, debugDescription: "the list has \(elements.count) elements only"))
    }
    defer { currentIndex += 1 }
    return elements[currentIndex]
  }

  mutating func decodeNil() throws -> Bool {
    guard !isAtEnd, elements[currentIndex] == .null else { return false }
    currentIndex += 1
    return true
  }

  mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
    try ValueDecoder.decode(type, from: try next(), codingPath)
  }

  mutating func nestedContainer<NestedKey: CodingKey>(
    keyedBy type: NestedKey.Type
  ) throws -> KeyedDecodingContainer<NestedKey> {
    try ValueDecoder(value: try next(), codingPath: codingPath).container(keyedBy: type)
  }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try ValueDecoder(value: try next(), codingPath: codingPath).unkeyedContainer()
  }

  mutating func superDecoder() throws -> any Decoder {
    ValueDecoder(value: try next(), codingPath: codingPath)
  }
}

private struct SingleContainer: SingleValueDecodingContainer {
  let value: Value
  let codingPath: [any CodingKey]

  func decodeNil() -> Bool { value == .null }

  func decode(_ type: Bool.Type) throws -> Bool {
    guard case .boolean(let boolean) = value else { throw mismatch(type, "a boolean") }
    return boolean
  }

  func decode(_ type: String.Type) throws -> String {
    guard case .string(let bytes) = value else { throw mismatch(type, "a string") }
    guard let text = String(validating: bytes.bytes, as: UTF8.self) else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: codingPath,
          debugDescription: "the string is not UTF-8; ask for a ByteString"))
    }
    return text
  }

  func decode(_ type: Double.Type) throws -> Double {
    switch value {
    case .integer(let integer): return Double(integer)
    case .number(let number): return number
    default: throw mismatch(type, "a number")
    }
  }

  func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
  func decode(_ type: Int.Type) throws -> Int { try integer(type) }
  func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
  func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
  func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
  func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
  func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
  func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
  func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
  func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
  func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }

  func decode<T: Decodable>(_ type: T.Type) throws -> T {
    try ValueDecoder.decode(type, from: value, codingPath)
  }

  /// An integer, or a float that stands for one exactly.
  private func integer<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
    let exact: T?
    switch value {
    case .integer(let integer): exact = T(exactly: integer)
    case .number(let number): exact = T(exactly: number)
    default: throw mismatch(type, "an integer")
    }
    guard let exact else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: codingPath, debugDescription: "\(value) is no \(type)"))
    }
    return exact
  }

  private func mismatch(_ type: Any.Type, _ expected: String) -> DecodingError {
    .mismatch(type, expected, value, codingPath)
  }
}
