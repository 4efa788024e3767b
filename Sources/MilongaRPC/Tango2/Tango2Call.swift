/// What a call frame says besides its id.
public struct Tango2Call {
  /// Milliseconds that were left when the caller sent the call; nil for no deadline.
  public let deadline: UInt32?

  /// Names and values; empty when there are none. They lie in the received bytes.
  public let metadata: Tango2Metadata

  /// The message: the function's path, or the number of a reference, and the arguments. It lies in
  /// the received bytes.
  public let message: UnsafeRawBufferPointer

  /// The function is a reference.
  public let isReference: Bool

  /// The last argument is a stream, whose items are to follow.
  public let hasStream: Bool

  /// Takes a call's payload apart.
  @inlinable
  init(
    _ flags: Tango2Frame.Flags, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) {
    isReference = flags.contains(.reference)
    hasStream = flags.contains(.stream)
    var rest = payload[...]
    if flags.contains(.deadline) {
      guard rest.count >= 4 else { throw .malformed(.call) }
      deadline = UInt32(
        bigEndian: UnsafeRawBufferPointer(rebasing: rest).loadUnaligned(as: UInt32.self))
      rest = rest.dropFirst(4)
    } else {
      deadline = nil
    }
    if flags.contains(.metadata) {
      guard rest.count >= 2 else { throw .malformed(.call) }
      let bytes = Int(
        UInt16(bigEndian: UnsafeRawBufferPointer(rebasing: rest).loadUnaligned(as: UInt16.self)))
      rest = rest.dropFirst(2)
      guard rest.count >= bytes,
        let metadata = Tango2Metadata(UnsafeRawBufferPointer(rebasing: rest.prefix(bytes)))
      else { throw .malformed(.call) }
      self.metadata = metadata
      rest = rest.dropFirst(bytes)
    } else {
      metadata = Tango2Metadata()
    }
    message = UnsafeRawBufferPointer(rebasing: rest)
  }

  /// Appends what comes in front of a call's message.
  ///
  /// - Parameters:
  ///   - deadline: milliseconds that are left; nil for no deadline.
  ///   - metadata: names of up to 255 bytes and values of up to 65,535 bytes; at most 65,535 bytes in all.
  /// - Returns: the flags that say so, to be completed by ``Tango2Frame/Flags/stream`` and `reference`.
  public static func appendOptions(
    deadline: UInt32?, metadata: [(name: [UInt8], value: [UInt8])], to buffer: inout OutputBuffer
  ) throws(Tango2MetadataError) -> Tango2Frame.Flags {
    let bytes = try Tango2Metadata.bytes(of: metadata)
    var flags: Tango2Frame.Flags = []
    if let deadline {
      flags.insert(.deadline)
      buffer.append(bigEndian: deadline)
    }
    if !metadata.isEmpty {
      flags.insert(.metadata)
      buffer.append(bigEndian: UInt16(bytes))
      Tango2Metadata.append(metadata, to: &buffer)
    }
    return flags
  }
}

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
    of metadata: [(name: [UInt8], value: [UInt8])]
  ) throws(Tango2MetadataError) -> Int {
    var bytes = 0
    for (name, value) in metadata {
      guard isName(name) else { throw .badName(name) }
      bytes += 3 + name.count + value.count
    }
    guard bytes <= Int(UInt16.max) else { throw .tooLong(bytes: bytes, limit: Int(UInt16.max)) }
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
