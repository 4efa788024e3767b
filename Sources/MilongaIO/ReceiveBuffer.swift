import CMilongaMemory
import Glibc

/// Blocks of memory for receive buffers, shared by the connections of one loop. A connection holds
/// a block only while it has unread bytes, so a hundred thousand idle ones hold none, and busy ones
/// use the block that is still in the processor's cache.
public final class BufferPool {
  /// Bytes of a block.
  public static let blockSize = 16 * 1024
  private static let mostFree = 256

  /// The free blocks, each of which begins with the address of the next.
  private var free: UnsafeMutableRawPointer?
  private var freeCount = 0
  /// Blocks handed out and not yet back.
  public private(set) var blocksInUse = 0
  /// Bytes of larger memory that buffers have freed, until the dispatcher sets it to 0.
  public var bytesFreed = 0

  public init() {}

  deinit {
    while let block = takeFree() { Glibc.free(block) }
  }

  /// Lends a block for the time of the call; nil, without a call, when there is no memory for one.
  public func withBlock<Result>(_ body: (UnsafeMutableRawBufferPointer) -> Result) -> Result? {
    guard let block = take() else { return nil }
    defer { give(block) }
    return body(UnsafeMutableRawBufferPointer(start: block, count: Self.blockSize))
  }

  /// A block; nil when there is no memory for one.
  func take() -> UnsafeMutableRawPointer? {
    guard let block = takeFree() ?? milonga_allocate(Self.blockSize) else { return nil }
    blocksInUse += 1
    return block
  }

  func give(_ block: UnsafeMutableRawPointer) {
    blocksInUse -= 1
    if freeCount < Self.mostFree {
      block.storeBytes(of: free, as: UnsafeMutableRawPointer?.self)
      free = block
      freeCount += 1
    } else {
      Glibc.free(block)
    }
  }

  private func takeFree() -> UnsafeMutableRawPointer? {
    guard let block = free else { return nil }
    free = block.load(as: UnsafeMutableRawPointer?.self)
    freeCount -= 1
    return block
  }
}

/// Bytes received from a stream and not yet consumed.
///
/// Holds a block of the pool while it is not empty, or memory of its own when more has to be kept
/// together. A plain value without a finaliser: its owner calls ``release(to:)``.
public struct ReceiveBuffer {
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0
  private var first = 0
  private var last = 0

  public init() {}

  @inline(__always)
  public var count: Int { last - first }

  @inline(__always)
  public var isEmpty: Bool { first == last }

  /// Bytes of memory that it holds.
  @inline(__always)
  public var memory: Int { capacity }

  /// The unread bytes; valid until the buffer changes.
  @inline(__always)
  public var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base.map { $0 + first }, count: last - first)
  }

  /// The unread bytes, to be changed in place.
  public var mutableBytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base.map { $0 + first }, count: last - first)
  }

  /// Marks `count` bytes as read; at most ``count``.
  @inline(__always)
  public mutating func consume(_ count: Int) {
    assert(0...self.count ~= count)
    first += count
    if first == last {
      first = 0
      last = 0
    }
  }

  /// Gives the memory back when nothing is unread.
  @inline(__always)
  public mutating func releaseIfEmpty(to pool: BufferPool) {
    if first == last, base != nil { release(to: pool) }
  }

  /// Gives the memory back and forgets what was unread.
  public mutating func release(to pool: BufferPool) {
    guard let base else { return }
    Self.free(base, capacity, pool)
    self = ReceiveBuffer()
  }

  /// Room for at least one more read behind the unread bytes; nil, with the bytes as they were,
  /// when there is no memory for it.
  ///
  /// - Parameter wanted: unread bytes that will have to be together in the end. Memory grows as
  ///   they arrive: beyond a block it is at most eightfold what is there, however large the number
  ///   is.
  public mutating func room(wanted: Int, pool: BufferPool) -> UnsafeMutableRawBufferPointer? {
    guard base != nil else {
      base = pool.take()
      guard base != nil else { return nil }
      capacity = BufferPool.blockSize
      return UnsafeMutableRawBufferPointer(start: base, count: capacity)
    }
    let unread = last - first
    if capacity > BufferPool.blockSize, unread < capacity / 8 {
      // What needed so much is gone. If there is no memory to move it, it may stay.
      _ = resize(to: max(BufferPool.blockSize, unread * 4), pool: pool)
    }
    if first > 0, capacity - last < min(wanted - unread, BufferPool.blockSize) || last == capacity {
      memmove(base!, base! + first, unread)
      first = 0
      last = unread
    }
    if last == capacity || (unread * 2 >= capacity && wanted > capacity) {
      let larger = max(capacity * 2, min(wanted, capacity * 4))
      guard resize(to: larger, pool: pool) || last < capacity else { return nil }
    }
    return UnsafeMutableRawBufferPointer(start: base! + last, count: capacity - last)
  }

  /// Says that `count` bytes were written into the room.
  @inline(__always)
  public mutating func filled(_ count: Int) {
    assert(0...capacity - last ~= count)
    last += count
  }

  /// Moves the unread bytes to the start of memory of this size; false, with all as it was, when
  /// there is none.
  private mutating func resize(to size: Int, pool: BufferPool) -> Bool {
    let unread = last - first
    let isPooled = size == BufferPool.blockSize
    if isPooled || capacity == BufferPool.blockSize {
      guard let moved = isPooled ? pool.take() : milonga_allocate(size) else { return false }
      memcpy(moved, base! + first, unread)
      Self.free(base!, capacity, pool)
      base = moved
    } else {
      if first > 0 { memmove(base!, base! + first, unread) }
      first = 0
      last = unread
      guard let moved = milonga_reallocate(base, size) else { return false }
      base = moved
    }
    first = 0
    last = unread
    capacity = size
    return true
  }

  private static func free(_ base: UnsafeMutableRawPointer, _ capacity: Int, _ pool: BufferPool) {
    if capacity == BufferPool.blockSize { return pool.give(base) }
    Glibc.free(base)
    pool.bytesFreed += capacity
  }
}

extension UnsafeRawBufferPointer {
  /// The place of the first byte of this value from `start` on.
  @inlinable
  public func firstIndex(ofByte byte: UInt8, from start: Int = 0) -> Int? {
    guard start < count, let base = baseAddress,
      let found = memchr(base + start, Int32(byte), count - start)
    else { return nil }
    return UnsafeRawPointer(found) - base
  }
}
