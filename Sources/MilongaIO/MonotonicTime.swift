import Glibc

/// Clocks. Deadlines everywhere are nanoseconds of the monotonic clock as `Int64`; `Int64.max`
/// means never.
public enum MonotonicTime {
  /// A deadline that never comes.
  public static let never = Int64.max

  /// Nanoseconds since an arbitrary point, never going backwards.
  public static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// The deadline `seconds` after `start`: ``never`` for infinite, NaN and very long times; `start`
  /// for negative ones.
  @inlinable
  public static func deadline(after seconds: Double, from start: Int64) -> Int64 {
    guard seconds < 9e9 else { return never }
    guard seconds > 0 else { return start }
    let (deadline, isTooLate) = start.addingReportingOverflow(Int64(seconds * 1e9))
    return isTooLate ? never : deadline
  }

  /// Milliseconds from `now` until `deadline` for poll(2) and epoll_wait(2): rounded up, so that no
  /// wait ends early; -1 for ``never``.
  public static func milliseconds(until deadline: Int64, from now: Int64) -> Int32 {
    guard deadline != never else { return -1 }
    guard deadline > now else { return 0 }
    let (whole, rest) = (deadline - now).quotientAndRemainder(dividingBy: 1_000_000)
    return Int32(clamping: rest > 0 ? whole + 1 : whole)
  }

  /// Seconds from now until `deadline`, negative once it has passed.
  public static func seconds(until deadline: Int64) -> Double {
    (Double(deadline) - Double(now())) / 1e9
  }
}

/// The time of day.
public enum WallClock {
  /// Seconds since 1970-01-01 00:00 UTC, with microseconds.
  public static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec / 1000) / 1e6
  }

  /// Suspends the thread for `seconds` (infinite: for ever), also when signals arrive meanwhile,
  /// unless `isInterrupted`, which is asked after each of them, says that this one ends it.
  /// Negative ones and NaN are no time.
  ///
  /// - Returns: false when it was ended.
  @discardableResult
  public static func sleep(_ seconds: Double, isInterrupted: () -> Bool = { false }) -> Bool {
    guard seconds > 0 else { return true }
    let deadline = MonotonicTime.deadline(after: seconds, from: MonotonicTime.now())
    let (whole, rest) = deadline.quotientAndRemainder(dividingBy: 1_000_000_000)
    var time = timespec(tv_sec: Int(whole), tv_nsec: Int(rest))
    // Until a point in time: what is left of a duration grows a little with every signal.
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {
      if isInterrupted() { return false }
    }
    return true
  }
}
