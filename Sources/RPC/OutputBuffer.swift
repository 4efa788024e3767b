/// Bytes on their way out: writers append at the end, the socket takes from the front.
///
/// Taking advances an offset. Memory moves only when the buffer must grow anyway, and an idle
/// buffer can give it back with ``shrink(keeping:)``.
public struct OutputBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer?
  @usableFromInline var head = 0
  @usableFromInline var tail = 0

  /// How many bytes the memory has room for, sent ones included.
  public private(set) var capacity = 0

  /// An empty buffer, which has no memory yet.
  @inlinable public init() {}

  deinit { base?.deallocate() }

  /// How many bytes are waiting.
  @inlinable public var count: Int { tail &- head }

  /// Whether nothing is waiting.
  @inlinable public var isEmpty: Bool { tail == head }

  /// The byte appended last, or nil when nothing is waiting.
  @inlinable public var last: UInt8? {
    isEmpty ? nil : base.unsafelyUnwrapped.load(fromByteOffset: tail &- 1, as: UInt8.self)
  }

  /// Gives `body` the waiting bytes, valid only during the call.
  @inlinable
  public func withUnsafeBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try body(UnsafeRawBufferPointer(start: base.map { UnsafeRawPointer($0 + head) }, count: count))
  }

  /// Makes room for `bytes` more bytes, so that appending them takes no memory.
  @inlinable
  public mutating func reserve(_ bytes: Int) {
    if capacity &- tail < bytes { grow(by: bytes) }
  }

  /// Drops the first `bytes` bytes, which were sent; at most ``count``.
  @inlinable
  public mutating func removeFirst(_ bytes: Int) {
    precondition(bytes >= 0 && bytes <= count)
    head &+= bytes
    if head == tail {
      head = 0
      tail = 0
    }
  }

  /// Drops what was appended after the first `count` bytes; at most ``count``.
  @inlinable
  public mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count)
    tail = head &+ count
  }

  /// Frees the memory of an empty buffer that has more than `bytes` of it.
  ///
  /// Call it when a connection becomes idle: one large answer must not pin memory for good.
  public mutating func shrink(keeping bytes: Int = 0) {
    if isEmpty && capacity > bytes { release() }
  }

  /// Takes over the memory of another empty buffer, which has none then. This one must have none.
  public mutating func takeMemory(of other: inout OutputBuffer) {
    assert(capacity == 0 && other.isEmpty)
    (base, capacity) = (other.base, other.capacity)
    (other.base, other.capacity) = (nil, 0)
  }

  /// Frees all memory, dropping the bytes that wait.
  public mutating func release() {
    base?.deallocate()
    base = nil
    head = 0
    tail = 0
    capacity = 0
  }

  /// Moves the waiting bytes to the front of the memory or, when they fill half of it, of more.
  @usableFromInline
  @inline(never)
  mutating func grow(by bytes: Int) {
    let count = self.count
    let needed = count + bytes
    if needed <= capacity && count <= capacity / 2 {
      base!.copyMemory(from: base! + head, byteCount: count)
    } else {
      let larger = max(needed, 2 * capacity, 256)
      let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
      if let base {
        memory.copyMemory(from: base + head, byteCount: count)
        base.deallocate()
      }
      base = memory
      capacity = larger
    }
    head = 0
    tail = count
  }
}
