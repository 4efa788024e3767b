import MilongaRPC
import NIOCore
import RPCRuntime

/// Memory that the connections of one event loop share. They have their turns one after the other,
/// and each needs it only within one: so it stays in the processor's cache, and idle connections
/// hold none.
final class EventLoopScratch: @unchecked Sendable {
  /// The call that is looked at.
  let elements = MessageElements()
  /// Memory for answers that are collected.
  let spare = SpareBuffer(keeping: 64 << 10)
  /// Answers on their way to the channel.
  var output = ByteBuffer()
}
