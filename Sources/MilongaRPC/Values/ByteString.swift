/// A Lua string: any bytes, which are often but not always UTF-8.
public struct ByteString: Sendable, Hashable {
  /// The bytes.
  public var bytes: [UInt8]

  /// A string of these bytes.
  @inlinable public init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

  /// The UTF-8 bytes of `text`.
  @inlinable public init(_ text: String) { bytes = Array(text.utf8) }
}

extension ByteString: ExpressibleByStringLiteral {
  /// The UTF-8 bytes of a literal.
  @inlinable public init(stringLiteral text: String) { self.init(text) }
}

extension ByteString: CustomStringConvertible {
  /// The bytes as text; those that are not UTF-8 become U+FFFD.
  public var description: String { String(decoding: bytes, as: UTF8.self) }
}
