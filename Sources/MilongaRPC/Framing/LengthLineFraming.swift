/// tango's framing: the length of the body in decimal digits, a line feed, the body.
///
/// Source: tango/utils/socket_message.lua of the original, which reads the line with LuaSocket's
/// `receive('*l')` and so tolerates a carriage return before the line feed.
public enum LengthLineFraming {
  /// The limit for a body unless told otherwise: 16 MiB.
  public static let defaultMaxBytes = 16 << 20

  /// The longest line accepted, in bytes, without its line feed; room for any 64-bit length.
  @usableFromInline static var lineBytes: Int { 20 }

  /// Looks for a frame at the start of `bytes`.
  ///
  /// A length beyond the limit is refused as soon as its digits say so, before the line ends.
  ///
  /// - Parameters:
  ///   - bytes: What was received and not consumed yet.
  ///   - maxBytes: The longest body to accept.
  @inlinable
  public static func next(
    in bytes: UnsafeRawBufferPointer, maxBytes: Int = defaultMaxBytes
  ) -> FrameResult {
    var length = 0
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      if MilongaRPC.isDigit(byte) {
        guard index < lineBytes else { return .invalid(.badLength) }
        let (tens, overflow) = length.multipliedReportingOverflow(by: 10)
        if overflow || tens > maxBytes - Int(byte & 15) {
          return .invalid(.tooLong(limit: maxBytes))
        }
        length = tens + Int(byte & 15)
        index += 1
      } else {
        return afterDigits(index, length, bytes)
      }
    }
    return index > lineBytes ? .invalid(.badLength) : .incomplete(needed: 1)
  }

  /// Checks the end of the line, after `digits` digits, and whether the body is complete.
  @inlinable
  @inline(__always)
  static func afterDigits(
    _ digits: Int, _ length: Int, _ bytes: UnsafeRawBufferPointer
  ) -> FrameResult {
    var index = digits
    if bytes[index] == UInt8(ascii: "\r") { index += 1 }
    guard digits > 0, index <= lineBytes else { return .invalid(.badLength) }
    guard index < bytes.count else { return .incomplete(needed: 1 + length) }
    guard bytes[index] == UInt8(ascii: "\n") else { return .invalid(.badLength) }
    let header = index + 1
    let received = bytes.count - header
    if received < length { return .incomplete(needed: length - received) }
    return .frame(headerBytes: header, bodyBytes: length)
  }
}
