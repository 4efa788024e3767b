// What a framing does to bytes that are already in the buffer.

extension OutputBuffer {
  /// Makes `bytes` more bytes part of the buffer, whatever they are, to be written later.
  @inlinable
  mutating func appendUninitialized(_ bytes: Int) {
    guard reserve(bytes) else { return }
    tail &+= bytes
  }

  /// Takes back the byte that was appended last, unless it was dropped for want of memory.
  @inlinable
  mutating func removeLast() {
    if !lacksMemory { tail &-= 1 }
  }

  /// Gives `body` the waiting bytes to change.
  @inlinable
  mutating func withUnsafeMutableBytes(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
    body(UnsafeMutableRawBufferPointer(start: base.map { $0 + head }, count: count))
  }

  /// Removes `bytes` bytes after the first `offset`, closing the gap.
  @inlinable
  mutating func remove(_ bytes: Int, after offset: Int) {
    let gap = base.unsafelyUnwrapped + head + offset
    gap.copyMemory(from: gap + bytes, byteCount: count &- offset &- bytes)
    tail &-= bytes
  }
}
