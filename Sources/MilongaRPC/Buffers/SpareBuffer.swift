/// Memory for messages that are collected. Nearly always one connection after the other collects
/// and sends, so all use the same memory, which is in the processor's cache, and idle ones hold
/// none.
public final class SpareBuffer {
  private let mostKept: Int
  private var buffer = OutputBuffer()

  /// - Parameter mostKept: bytes; larger memory is not kept.
  public init(keeping mostKept: Int = 4096) { self.mostKept = mostKept }

  /// Gives a buffer that has no memory ours, if we have any.
  public func lend(to other: inout OutputBuffer) {
    if other.capacity == 0 { other.takeMemory(of: &buffer) }
  }

  /// Takes the memory of an empty buffer.
  public func giveBack(_ other: inout OutputBuffer) {
    if buffer.capacity == 0, other.capacity <= mostKept {
      buffer.takeMemory(of: &other)
    } else {
      other.release()
    }
  }
}
