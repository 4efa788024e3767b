/// Why a call was not carried out; its text is sent to the peer.
public struct DispatchError: Error, Sendable, Hashable {
  /// What was wrong, with the words of the original.
  public enum Reason: String, Sendable, Hashable {
    /// The path is empty, or goes through something that is not a table.
    case noSuchVariable = "no such variable"

    /// The path leads to a variable, and writing is not allowed.
    case noWriteAccess = "no write_access"

    /// The path leads to a variable, and reading is not allowed.
    case noReadAccess = "no read_access"
  }

  /// What was wrong.
  public let reason: Reason

  /// The path as the peer sent it.
  public let path: ByteString

  @usableFromInline
  init(_ reason: Reason, _ path: UnsafeRawBufferPointer) {
    self.reason = reason
    self.path = ByteString(path)
  }

  /// The text that answers the call, with the bytes of the path unchanged.
  public var message: ByteString {
    let before = "tango server error \""
    let after = "\": \(reason.rawValue)"
    return ByteString(Array(before.utf8) + path.bytes + Array(after.utf8))
  }
}

extension DispatchError: CustomStringConvertible {
  /// ``message`` as text.
  public var description: String { message.description }
}
