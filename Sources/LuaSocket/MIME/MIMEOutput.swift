import CMilongaMemory
import Glibc

/// The bytes that a codec makes, in memory that grows up to a limit.
///
/// Codecs write behind what is there themselves: they ask for room with ``reserve(_:)`` and say
/// with ``wrote(upTo:)`` how much of it they used.
package struct MIMEOutput: ~Copyable {
  /// The result does not fit the limit, or the system has no memory for it.
  package struct TooLarge: Error {}

  /// Bytes behind every room that may be scribbled on, so that a codec can store whole words where
  /// fewer bytes count.
  static let slack = 16

  /// How many bytes were written.
  package private(set) var count = 0
  private let limit: Int
  private var start: UnsafeMutableRawPointer?
  private var capacity = 0

  /// An empty output.
  ///
  /// - Parameters:
  ///   - limit: the most bytes that it may hold.
  ///   - expected: the number of bytes to make room for at first; a guess.
  package init(limit: Int = .max, expected: Int = 0) {
    self.limit = min(limit, .max - Self.slack)
    try? grow(to: min(expected, self.limit))
  }

  deinit { free(start) }

  /// Gives `body` all bytes, valid only during the call.
  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    body(UnsafeRawBufferPointer(start: start, count: count))
  }

  /// Room for `bytes` more bytes, and the slack behind them: the address of the first.
  @inline(__always)
  mutating func reserve(_ bytes: Int) throws(TooLarge) -> UnsafeMutableRawPointer {
    if start == nil || capacity - count < bytes {
      let (needed, overflow) = count.addingReportingOverflow(bytes)
      guard !overflow, needed <= limit else { throw TooLarge() }
      try grow(to: max(needed, min(capacity * 2, limit)))
    }
    return start.unsafelyUnwrapped + count
  }

  /// Says that the room is filled up to this address.
  @inline(__always)
  mutating func wrote(upTo end: UnsafeMutableRawPointer) {
    count = UnsafeRawPointer(end) - UnsafeRawPointer(start.unsafelyUnwrapped)
    assert(count <= capacity)
  }

  @inline(__always)
  mutating func append(_ bytes: UnsafeRawBufferPointer) throws(TooLarge) {
    let room = try reserve(bytes.count)
    if let first = bytes.baseAddress { room.copyMemory(from: first, byteCount: bytes.count) }
    count += bytes.count
  }

  mutating func append(_ bytes: Slice<UnsafeRawBufferPointer>) throws(TooLarge) {
    try append(UnsafeRawBufferPointer(rebasing: bytes))
  }

  mutating func append(_ text: StaticString) throws(TooLarge) {
    try append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  @inline(never)
  private mutating func grow(to size: Int) throws(TooLarge) {
    guard let moved = milonga_reallocate(start, size + Self.slack) else { throw TooLarge() }
    start = moved
    capacity = size
  }
}
