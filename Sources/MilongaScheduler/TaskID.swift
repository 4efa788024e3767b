/// Names one task of a ``Scheduler``. Never used again for another task, so a stale one is
/// harmless.
@frozen
public struct TaskID: Hashable, Sendable, BitwiseCopyable {
  /// The place of the task; given to another task when this one has finished, and the turn that it
  /// was ready for has passed. For tables beside the scheduler's.
  public let index: Int32
  @usableFromInline let generation: UInt32

  @inline(__always)
  init(index: Int32, generation: UInt32) {
    self.index = index
    self.generation = generation
  }

  /// The name as a number, for places that hold nothing else; never with all bits set.
  public var bits: UInt64 { UInt64(generation) << 32 | UInt64(UInt32(bitPattern: index)) }

  /// The task of which ``bits`` made the number.
  public init(bits: UInt64) {
    self.init(
      index: Int32(truncatingIfNeeded: bits), generation: UInt32(truncatingIfNeeded: bits >> 32))
  }
}

/// Why a task runs.
public enum WakeReason: UInt8, Sendable, BitwiseCopyable {
  /// It was made ready: spawned, yielded its turn, or woken.
  case woken
  /// The descriptor it waited for became ready, or is not watched any more; or it was admitted.
  case ready
  /// Its deadline passed.
  case timeout
  /// It was cancelled while it waited: it should end.
  case cancelled
}

/// What a task waits for on a descriptor.
public enum Direction: UInt8, Sendable, BitwiseCopyable {
  case read, write
}

/// A task whose turn it is.
public struct Turn: Sendable {
  public let task: TaskID
  public let reason: WakeReason
}
