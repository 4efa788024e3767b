import NIOCore
import RPC

/// Takes frames out of what a channel has read.
struct FrameReader {
  private var received = ByteBuffer()
  let maxBytes: Int

  init(maxBytes: Int) { self.maxBytes = maxBytes }

  /// Bytes that wait to be taken.
  var count: Int { received.readableBytes }

  mutating func append(_ buffer: ByteBuffer) {
    if received.readableBytes == 0 {
      received = buffer
    } else {
      received.writeImmutableBuffer(buffer)
    }
  }

  /// Hands the body of the next whole frame to `body`; nil when there is none yet.
  mutating func next<R>(
    _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R? {
    var consumed = 0
    defer { received.moveReaderIndex(forwardBy: consumed) }
    let result: R? = try received.withUnsafeReadableBytes { bytes in
      switch LengthLineFraming.next(in: bytes, maxBytes: maxBytes) {
      case .frame(let header, let count):
        consumed = header + count
        return try body(UnsafeRawBufferPointer(rebasing: bytes[header..<consumed]))
      case .incomplete: return nil
      case .invalid(let error): throw error
      }
    }
    // What was read goes back to the system, or makes room.
    if result == nil {
      if received.readableBytes == 0 {
        received = ByteBuffer()
      } else {
        received.discardReadBytes()
      }
    }
    return result
  }
}
