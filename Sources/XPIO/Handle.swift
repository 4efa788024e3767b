import MilongaScheduler

/// A descriptor that tasks wait for, with what is known of it and where it is registered.
struct Handle {
  /// -1 when it is closed.
  var descriptor: Int32
  /// Tells this life of the descriptor from others that had, or will have, the same number.
  let serial: UInt64
  /// The task queue that it is registered with: its number, 0 for none.
  private(set) var queue = 0
  /// It is registered with others besides.
  private(set) var isInSeveralQueues = false
  /// Registered with the dispatcher of Copas.
  var isWatchedByCopas = false
  /// When the system last said that it has nothing to read, and no room to write, by the library's
  /// clock; see ``TaskQueue``.
  private var emptyAt: UInt64 = 0
  private var fullAt: UInt64 = 0

  init(descriptor: Int32, serial: UInt64) {
    self.descriptor = descriptor
    self.serial = serial
  }

  /// When it was last found not ready.
  func unready(_ direction: Direction) -> UInt64 { direction == .read ? emptyAt : fullAt }

  mutating func markUnready(_ direction: Direction, at now: UInt64) {
    if direction == .read { emptyAt = now } else { fullAt = now }
  }

  mutating func isRegistered(with number: Int) {
    if queue == 0 { queue = number } else if queue != number { isInSeveralQueues = true }
  }
}

/// Counts events of all queues and descriptors of one Lua state, to tell which came later.
final class EventClock {
  private var now: UInt64 = 0

  func tick() -> UInt64 {
    now += 1
    return now
  }
}

/// What an object that has a handle holds. The handle comes first, so that a pointer to one is a
/// pointer to the other.
protocol HandleHolder {
  var handle: Handle { get set }
}

extension UnsafeMutablePointer where Pointee: HandleHolder {
  @inline(__always)
  var handle: UnsafeMutablePointer<Handle> {
    UnsafeMutableRawPointer(self).assumingMemoryBound(to: Handle.self)
  }
}
