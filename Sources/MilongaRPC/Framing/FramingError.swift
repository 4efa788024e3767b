/// Why bytes are no frame.
public enum FramingError: Error, Sendable, Hashable {
  /// The line before the body is empty, too long or has something else than digits.
  case badLength

  /// The announced length exceeds the limit, in bytes.
  case tooLong(limit: Int)

  /// There is no type of message with this number.
  case unknownType(UInt8)

  /// A response has no status.
  case missingStatus
}

extension FramingError: CustomStringConvertible {
  /// One sentence for a log or a user.
  public var description: String {
    switch self {
    case .badLength: "the length of the frame is not a line of 1 to 20 decimal digits"
    case .tooLong(let limit): "the frame is longer than the limit of \(limit) bytes"
    case .unknownType(let type): "a message of type \(type): 0 (call) and 1 (response) exist"
    case .missingStatus: "a response without a status"
    }
  }
}
