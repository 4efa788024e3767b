import MilongaRPC

extension MessageElements {
  /// The element as the type asked for. The common scalars need no tree and no decoder.
  ///
  /// - Throws: ``RPCTypeError``.
  @inlinable
  func decode<T: Decodable>(_ type: T.Type, at index: Int) throws -> T {
    switch self[index] {
    case .string(let offset, let count) where type == String.self:
      if let text = text(offset, count) { return same(text) }
    case .integer(let value) where type == Int.self: return same(Int(value))
    case .integer(let value) where type == Double.self: return same(Double(value))
    case .number(let value) where type == Double.self: return same(value)
    case .boolean(let value) where type == Bool.self: return same(value)
    case .object(let place): return try receive(objects[place])
    default: break
    }
    return try decodeTree(type, at: index)
  }

  /// The text of a string element; nil when it is not UTF-8.
  @usableFromInline
  func text(_ offset: Int, _ count: Int) -> String? {
    withString(offset, count, String.init(utf8:))
  }

  /// The element as a type that may need a decoder.
  @usableFromInline
  func decodeTree<T: Decodable>(_ type: T.Type, at index: Int) throws -> T {
    do {
      return try ValueDecoder.decode(type, from: value(at: index))
    } catch let error as DecodingError {
      throw RPCTypeError(expected: "\(type)", found: error.place + error.reason)
    }
  }
}

extension MessageElements {
  @usableFromInline
  func receive<T>(_ object: any AnyObject & Sendable) throws -> T {
    if let value = object as? T { return value }
    if let wrapper = T.self as? any ReceivedByReference.Type,
      let value = wrapper.init(object: object) as? T
    {
      return value
    }
    throw RPCTypeError(expected: "\(T.self)", found: "an object by reference")
  }
}

extension DecodingError {
  private var context: Context? {
    switch self {
    case .typeMismatch(_, let context), .valueNotFound(_, let context),
      .keyNotFound(_, let context), .dataCorrupted(let context):
      context
    @unknown default: nil
    }
  }

  /// What is wrong there.
  fileprivate var reason: String {
    guard let text = context?.debugDescription else { return "\(self)" }
    return text.firstRange(of: ", got ").map { String(text[$0.upperBound...]) } ?? text
  }

  /// Where it is, if it is inside of something.
  fileprivate var place: String {
    let path = (context?.codingPath ?? []).map(\.stringValue).joined(separator: ".")
    return path.isEmpty ? "" : "in '\(path)' "
  }
}

extension String {
  /// The text whose UTF-8 this is; nil when it is not UTF-8.
  fileprivate init?(utf8 bytes: UnsafeRawBufferPointer) {
    // Initializers that check take twenty times as long (Swift 6.3), and most texts are ASCII.
    if isASCII(bytes) {
      self.init(decoding: bytes, as: UTF8.self)
    } else {
      let units = bytes.assumingMemoryBound(to: UInt8.self)
      guard let text = String(validating: units, as: UTF8.self) else { return nil }
      self = text
    }
  }

  fileprivate func firstRange(of text: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
      start = index(after: start)
    }
    return nil
  }
}

private func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
  var all: UInt64 = 0
  var offset = 0
  while bytes.count - offset >= 8 {
    all |= bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    offset += 8
  }
  while offset < bytes.count {
    all |= UInt64(bytes[offset])
    offset += 1
  }
  return all & 0x8080_8080_8080_8080 == 0
}
