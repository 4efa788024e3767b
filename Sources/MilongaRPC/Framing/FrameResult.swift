/// What a framing finds at the start of the bytes received so far.
public enum FrameResult: Sendable, Hashable {
  /// No whole frame yet; at least `needed` more bytes must come.
  case incomplete(needed: Int)

  /// A whole frame: `headerBytes` bytes, then the body of `bodyBytes` bytes.
  case frame(headerBytes: Int, bodyBytes: Int)

  /// No frame can start like this: the connection is lost.
  case invalid(FramingError)
}
