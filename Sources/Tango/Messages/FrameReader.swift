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
    let frame = received.withUnsafeReadableBytes {
      LengthLineFraming.next(in: $0, maxBytes: maxBytes)
    }
    switch frame {
    case .frame(let header, let count):
      defer {
        received.moveReaderIndex(forwardBy: header + count)
        if received.readableBytes == 0 { received = ByteBuffer() }
      }
      return try received.withUnsafeReadableBytes {
        try body(UnsafeRawBufferPointer(rebasing: $0[header..<header + count]))
      }
    case .incomplete:
      received.discardReadBytes()
      return nil
    case .invalid(let error):
      throw error
    }
  }
}
