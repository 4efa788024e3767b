import IO

/// When the dispatcher collects garbage because it has nothing else to do.
///
/// Programs leave connections that they have done with to the collector; peers wait for their end. Lua
/// collects while it allocates, and in an idle program nobody does.
struct IdleCollection {
  /// How long nothing happens before the dispatcher counts as idle, in milliseconds.
  static let delay: Int32 = 100
  private static let shortestInterval: Int64 = 1_000_000_000

  /// Coroutines have run since the last collection.
  var isDue = false
  private var next: Int64 = 0

  /// Collects, unless it was done just before: at most every second, and at most for a twentieth of
  /// the time.
  mutating func run(_ collect: () -> Void) {
    let start = MonotonicTime.now()
    guard isDue, start >= next else { return }
    collect()
    isDue = false
    let end = MonotonicTime.now()
    next = end + max(Self.shortestInterval, 20 * (end - start))
  }
}
