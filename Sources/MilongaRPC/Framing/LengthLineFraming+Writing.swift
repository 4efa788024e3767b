extension LengthLineFraming {
  /// A frame that is being written.
  public struct OpenFrame: Sendable {
    /// How many bytes wait in front of the frame.
    @usableFromInline let waiting: Int

    @inlinable init(waiting: Int) { self.waiting = waiting }
  }

  /// Room for the longest line that ``next(in:maxBytes:)`` accepts, and its line feed.
  @usableFromInline static var reservedBytes: Int { lineBytes + 1 }

  /// Starts a frame at the end of `buffer`; whatever is appended next is its body.
  ///
  /// Until the frame is closed or dropped, nothing may be removed from the buffer.
  @inlinable
  public static func open(in buffer: inout OutputBuffer) -> OpenFrame {
    let frame = OpenFrame(waiting: buffer.count)
    buffer.appendUninitialized(reservedBytes)
    return frame
  }

  /// Completes `frame`, so that header and body can leave in one piece with all that is before
  /// them.
  ///
  /// In an empty buffer the header is written against the body, and the rest of its room skipped.
  /// Behind other frames a gap may not remain, so the body moves: it was just written, and is warm.
  ///
  /// Nothing is completed when the buffer lacks memory: the frame is to be dropped then.
  ///
  /// - Returns: The length of the body, in bytes; `Int.max` when the buffer lacks memory.
  @inlinable
  @inline(__always)
  @discardableResult
  public static func close(_ frame: OpenFrame, in buffer: inout OutputBuffer) -> Int {
    if buffer.lacksMemory { return .max }
    let body = buffer.count - frame.waiting - reservedBytes
    var unused = 0
    buffer.withUnsafeMutableBytes { bytes in
      let room = bytes.baseAddress.unsafelyUnwrapped + frame.waiting
      let line = room + reservedBytes - 1
      line.storeBytes(of: UInt8(ascii: "\n"), as: UInt8.self)
      unused = writeDigits(UInt64(body), endingAt: line) - room
    }
    if frame.waiting == 0 {
      buffer.removeFirst(unused)
    } else {
      buffer.remove(unused, after: frame.waiting)
    }
    return body
  }

  /// Drops `frame` with what was written of its body, as if it had never been opened.
  @inlinable
  public static func drop(_ frame: OpenFrame, from buffer: inout OutputBuffer) {
    buffer.truncate(to: frame.waiting)
  }
}
