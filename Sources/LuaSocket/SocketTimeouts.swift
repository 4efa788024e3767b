import Glibc
import MilongaIO
import MilongaLua

/// LuaSocket's two timeouts, in seconds; negative means none.
package struct SocketTimeouts: Sendable {
  /// How long one wait for the system may take; without a total time it counts from the start of
  /// the operation.
  package var block = -1.0
  /// How long the whole operation may take.
  package var total = -1.0

  /// The operation fails at once instead of waiting.
  var isZero: Bool { block == 0 }

  /// Until when an operation that waited first at `start` may wait now.
  func deadline(start: Int64, now: Int64) -> Int64 {
    let last = total < 0 ? MonotonicTime.never : MonotonicTime.deadline(after: total, from: start)
    guard block >= 0 else { return last }
    return min(last, MonotonicTime.deadline(after: block, from: total < 0 ? start : now))
  }

  /// Until when an operation may wait now; nil when it may not wait at all. `start` is set by its
  /// first wait.
  func nextDeadline(_ start: inout Int64?) -> Int64? {
    if isZero { return nil }
    let now = MonotonicTime.now()
    let began = start ?? now
    start = began
    return deadline(start: began, now: now)
  }

  /// Waits with poll(2) until the descriptor is ready or `deadline` has passed.
  ///
  /// - Throws: `interrupted!` after Ctrl-C.
  package static func wait(
    _ descriptor: Int32, for readiness: Readiness, until deadline: Int64, _ call: LuaCall
  ) throws(LuaFailure) -> SocketFailure? {
    var events: Int16 = 0
    if readiness.contains(.readable) { events |= Int16(POLLIN) }
    if readiness.contains(.writable) { events |= Int16(POLLOUT) }
    var polled = pollfd(fd: descriptor, events: events, revents: 0)
    while true {
      let now = deadline == MonotonicTime.never ? 0 : MonotonicTime.now()
      let count = poll(&polled, 1, MonotonicTime.milliseconds(until: deadline, from: now))
      if count > 0 { return nil }
      if count == 0 { return .timeout }
      guard errno == EINTR else { return .system(.init(rawValue: errno)) }
      try call.checkInterruption()
    }
  }
}
