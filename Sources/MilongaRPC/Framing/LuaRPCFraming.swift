/// Lua RPC's framing: a type, a sequence number, the payload's size in 4 bytes big endian, the
/// payload.
///
/// Source: "RPC protocol" in the documentation of Eclipse Mihini's `rpc`.
public enum LuaRPCFraming {
  /// Bytes of a header.
  public static let headerBytes = 6

  /// The limit for a payload unless told otherwise: 16 MiB.
  public static let defaultMaxBytes = 16 << 20

  /// What a message is.
  public enum Kind: UInt8, Sendable {
    case call = 0
    case response = 1
  }

  /// What lies at the start of the bytes received so far.
  public enum Result: Sendable, Hashable {
    /// No whole message yet; at least `needed` more bytes must come.
    case incomplete(needed: Int)

    /// A whole message: a header, then the payload of `payloadBytes` bytes.
    case message(Kind, sequence: UInt8, payloadBytes: Int)

    /// No message can start like this: the connection is lost.
    case invalid(FramingError)
  }

  /// Looks for a message at the start of `bytes`.
  ///
  /// A bad header is refused as soon as it is there, before its payload has come.
  @inlinable
  public static func next(
    in bytes: UnsafeRawBufferPointer, maxBytes: Int = defaultMaxBytes
  ) -> Result {
    guard bytes.count > 0 else { return .incomplete(needed: headerBytes) }
    guard let kind = Kind(rawValue: bytes[0]) else { return .invalid(.unknownType(bytes[0])) }
    guard bytes.count >= headerBytes else {
      return .incomplete(needed: headerBytes - bytes.count)
    }
    let size = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt32.self)))
    guard size <= maxBytes else { return .invalid(.tooLong(limit: maxBytes)) }
    guard size > 0 || kind == .call else { return .invalid(.missingStatus) }
    let received = bytes.count - headerBytes
    guard received >= size else { return .incomplete(needed: size - received) }
    return .message(kind, sequence: bytes[1], payloadBytes: size)
  }

  /// A message that is being written.
  public struct OpenMessage: Sendable {
    /// How many bytes wait in front of it.
    @usableFromInline let waiting: Int

    @inlinable init(waiting: Int) { self.waiting = waiting }
  }

  /// Starts a message at the end of `buffer`; whatever is appended next is its payload.
  ///
  /// Until it is closed or dropped, nothing may be removed from the buffer.
  @inlinable
  public static func open(in buffer: inout OutputBuffer) -> OpenMessage {
    let message = OpenMessage(waiting: buffer.count)
    buffer.appendUninitialized(headerBytes)
    return message
  }

  /// The size of the payload so far.
  @inlinable
  public static func payloadBytes(of message: OpenMessage, in buffer: borrowing OutputBuffer) -> Int
  {
    buffer.count - message.waiting - headerBytes
  }

  /// Completes the message; not when the buffer lacks memory: it is to be dropped then.
  @inlinable
  public static func close(
    _ message: OpenMessage, _ kind: Kind, sequence: UInt8, in buffer: inout OutputBuffer
  ) {
    if buffer.lacksMemory { return }
    let size = UInt32(truncatingIfNeeded: payloadBytes(of: message, in: buffer))
    buffer.withUnsafeMutableBytes { bytes in
      let header = bytes.baseAddress.unsafelyUnwrapped + message.waiting
      header.storeBytes(of: kind.rawValue, as: UInt8.self)
      (header + 1).storeBytes(of: sequence, as: UInt8.self)
      (header + 2).storeBytes(of: size.bigEndian, as: UInt32.self)
    }
  }

  /// Drops the message with what was written of it.
  @inlinable
  public static func drop(_ message: OpenMessage, from buffer: inout OutputBuffer) {
    buffer.truncate(to: message.waiting)
  }
}
