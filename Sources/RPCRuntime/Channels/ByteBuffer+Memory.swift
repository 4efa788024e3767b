package import MilongaRPC
package import NIOCore

extension ByteBuffer {
  /// Takes what was received behind what has been. SwiftNIO ends the process when there is no
  /// memory for that, so it is asked for before.
  ///
  /// - Throws: ``MemoryShortage``.
  package mutating func appendReceived(_ more: ByteBuffer) throws(MemoryShortage) {
    guard readableBytes > 0 else {
      self = more
      return
    }
    // It grows to the next power of two.
    if writableBytes < more.readableBytes,
      !SystemMemory.has(2 * (readableBytes + more.readableBytes))
    {
      throw MemoryShortage()
    }
    writeImmutableBuffer(more)
  }
}
