/// Memory for messages that are collected. Nearly always one connection after the other collects and
/// sends, so all use the same memory, which is in the processor's cache, and idle ones hold none.
public final class SpareBuffer {
  private static let mostKept = 4096
  private var buffer = OutputBuffer()

  /// None to lend yet.
  public init() {}

  /// Gives a buffer that has no memory ours, if we have any.
  public func lend(to other: inout OutputBuffer) {
    if other.capacity == 0 { other.takeMemory(of: &buffer) }
  }

  /// Takes the memory of an empty buffer.
  public func giveBack(_ other: inout OutputBuffer) {
    if buffer.capacity == 0, other.capacity <= Self.mostKept {
      buffer.takeMemory(of: &other)
    } else {
      other.release()
    }
  }
}
