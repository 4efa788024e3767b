import MilongaRPC
import NIOCore
import RPCRuntime

/// Takes frames out of what a channel has read.
struct FrameReader {
  private var received = ByteBuffer()
  let maxBytes: Int

  init(maxBytes: Int) { self.maxBytes = maxBytes }

  /// Bytes that wait to be taken.
  var count: Int { received.readableBytes }

  /// Bytes of memory in which they are.
  var memory: Int { received.readableBytes == 0 ? 0 : received.storageCapacity }

  mutating func append(_ buffer: ByteBuffer) throws(MemoryShortage) {
    try received.appendReceived(buffer)
  }

  /// Forgets what waits. Not while it is being taken.
  mutating func drop() { received = ByteBuffer() }

  /// What becomes of a frame, and of those behind it.
  enum Verdict {
    /// It was taken. The next one, too.
    case goOn
    /// It was taken. The next one has to wait.
    case stop
    /// It has to wait, with those behind it.
    case putBack
  }

  /// Hands the bodies of the frames that are whole to `body`, one after the other, as long as that
  /// wants them.
  ///
  /// - Returns: whether more has to arrive before there is another.
  @inline(__always)
  mutating func takeFrames(_ body: (UnsafeRawBufferPointer) throws -> Verdict) throws -> Bool {
    var consumed = 0
    defer { forget(consumed) }
    return try received.withUnsafeReadableBytes { bytes in
      while true {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
        switch LengthLineFraming.next(in: rest, maxBytes: maxBytes) {
        case .frame(let header, let count):
          // An error takes the frame, too.
          consumed += header + count
          switch try body(UnsafeRawBufferPointer(rebasing: rest[header..<header + count])) {
          case .goOn: break
          case .stop: return false
          case .putBack:
            consumed -= header + count
            return false
          }
        case .incomplete: return true
        case .invalid(let error): throw error
        }
      }
    }
  }

  /// What was taken goes back to the system, or makes room.
  private mutating func forget(_ bytes: Int) {
    if bytes == received.readableBytes {
      received = ByteBuffer()
    } else {
      received.moveReaderIndex(forwardBy: bytes)
      // What moves is less than what went since the last time, so that nothing moves often.
      if received.readableBytes < received.readerIndex { received.discardReadBytes() }
    }
  }
}
