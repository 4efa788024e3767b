/// Why metadata cannot be sent.
public enum Tango2MetadataError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The name is empty, longer than 255 bytes, or has other bytes than small letters, digits, `-`,
  /// `_` and `.`.
  case badName([UInt8])
  /// All names and values together have so many bytes.
  case tooLong(bytes: Int, limit: Int)

  /// One sentence for a log or a user.
  public var description: String {
    switch self {
    case .badName(let name):
      "metadata '\(String(decoding: name.prefix(40), as: UTF8.self))': a name has 1 to 255 small letters, digits, "
        + "'-', '_' and '.'"
    case .tooLong(let bytes, let limit):
      "metadata of \(bytes) bytes are longer than the limit of \(limit) bytes"
    }
  }
}

/// Names and values that travel with a call: for each the name's length (1 byte), the name, the
/// value's length (2 bytes), the value. A name may come more than once.
public struct Tango2Metadata: Sequence {
  private let bytes: UnsafeRawBufferPointer

  /// None.
  @usableFromInline
  init() { bytes = UnsafeRawBufferPointer(start: nil, count: 0) }

  /// Checks the bytes; nil when they are malformed.
  @usableFromInline
  init?(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    var iterator = Iterator(rest: bytes[...])
    while let entry = iterator.next() {
      guard Self.isName(entry.name) else { return nil }
    }
    guard iterator.rest.isEmpty else { return nil }
  }

  /// Whether there are none.
  public var isEmpty: Bool { bytes.isEmpty }

  /// The size of all names and values, with their lengths.
  public var byteCount: Int { bytes.count }

  /// The names and values, in the order in which they were sent. They lie in the received bytes.
  public func makeIterator() -> Iterator { Iterator(rest: bytes[...]) }

  /// Goes through the metadata.
  public struct Iterator: IteratorProtocol {
    fileprivate var rest: Slice<UnsafeRawBufferPointer>

    public mutating func next() -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
      guard let nameBytes = rest.first.map(Int.init), rest.count >= nameBytes + 3 else {
        return nil
      }
      let afterName = rest.startIndex + 1 + nameBytes
      let valueBytes = Int(rest[afterName]) << 8 | Int(rest[afterName + 1])
      guard rest.endIndex - afterName - 2 >= valueBytes else { return nil }
      let name = rest[(rest.startIndex + 1)..<afterName]
      let value = rest[(afterName + 2)..<(afterName + 2 + valueBytes)]
      rest = rest[(afterName + 2 + valueBytes)...]
      return (UnsafeRawBufferPointer(rebasing: name), UnsafeRawBufferPointer(rebasing: value))
    }
  }

  static func bytes(
    of metadata: [(name: [UInt8], value: [UInt8])], limit: UInt32
  ) throws(Tango2MetadataError) -> Int {
    var bytes = 0
    for (name, value) in metadata {
      guard isName(name) else { throw .badName(name) }
      bytes += 3 + name.count + value.count
    }
    let limit = Swift.min(Int(limit), Int(UInt16.max))
    guard bytes <= limit else { throw .tooLong(bytes: bytes, limit: limit) }
    return bytes
  }

  static func append(
    _ metadata: [(name: [UInt8], value: [UInt8])], to buffer: inout OutputBuffer
  ) {
    for (name, value) in metadata {
      buffer.append(UInt8(name.count))
      name.withUnsafeBytes { buffer.append($0) }
      buffer.append(bigEndian: UInt16(value.count))
      value.withUnsafeBytes { buffer.append($0) }
    }
  }

  private static func isName(_ bytes: some Collection<UInt8>) -> Bool {
    1...255 ~= bytes.count
      && bytes.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
          UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
          true
        default: false
        }
      }
  }
}
