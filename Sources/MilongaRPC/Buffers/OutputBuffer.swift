import CMilongaMemory

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Bytes on their way out: writers append at the end, the socket takes from the front.
///
/// Taking advances an offset. Memory moves only when the buffer must grow anyway, and an idle
/// buffer can give it back with ``shrink(keeping:)``.
///
/// Without memory for what is appended it is dropped, and ``lacksMemory`` says so: what was
/// appended since is to be removed by ``truncate(to:)``.
public struct OutputBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer?
  @usableFromInline var head = 0
  @usableFromInline var tail = 0

  /// How many bytes the memory has room for, sent ones included.
  public private(set) var capacity = 0

  /// Whether something that was appended had to be dropped, because there was no memory for it.
  public private(set) var lacksMemory = false

  /// An empty buffer, which has no memory yet.
  @inlinable public init() {}

  deinit { free(base) }

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
  ///
  /// - Returns: whether there is room for them.
  @inlinable
  @discardableResult
  public mutating func reserve(_ bytes: Int) -> Bool {
    capacity &- tail >= bytes || grow(by: bytes)
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

  /// Drops what was appended after the first `count` bytes; at most ``count``. What was dropped for
  /// want of memory is forgotten, too.
  @inlinable
  public mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count)
    tail = head &+ count
    if lacksMemory { forgetShortage() }
  }

  @usableFromInline
  mutating func forgetShortage() { lacksMemory = false }

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
    free(base)
    base = nil
    head = 0
    tail = 0
    capacity = 0
    lacksMemory = false
  }

  /// Moves the waiting bytes to the front of the memory or, when they fill half of it, of more;
  /// false when there is none.
  @usableFromInline
  @inline(never)
  mutating func grow(by bytes: Int) -> Bool {
    let count = self.count
    let needed = count + bytes
    if needed <= capacity && count <= capacity / 2 {
      base!.copyMemory(from: base! + head, byteCount: count)
    } else {
      let larger = max(needed, 2 * capacity, 256)
      guard let memory = milonga_allocate(larger) else {
        lacksMemory = true
        return false
      }
      if let base {
        memory.copyMemory(from: base + head, byteCount: count)
        free(base)
      }
      base = memory
      capacity = larger
    }
    head = 0
    tail = count
    return true
  }
}
