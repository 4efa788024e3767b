import CMilongaMemory
import CMilongaShims
import MilongaIO

/// When the dispatcher collects garbage by itself, and gives memory back to the system: when it has
/// nothing else to do, and some seconds after the garbage became much.
///
/// Programs leave connections that they have done with to the collector; peers wait for their end.
/// Lua collects while it allocates: an idle program does not, and one with little to do only long
/// after a burst.
struct IdleCollection {
  /// How long nothing happens before the dispatcher counts as idle, in milliseconds.
  static let delay: Int32 = 100
  private static let shortestInterval: Int64 = 1_000_000_000
  /// A dispatcher that is never idle waits so long before it looks at what has become much.
  private static let busyInterval: Int64 = 5_000_000_000
  /// Bytes by which Lua's memory grows before that is much.
  private static let muchGrowth = 32 << 20

  /// Coroutines have run since the last collection.
  var isDue = false
  /// Bytes in Lua's memory beyond which a busy dispatcher collects, too.
  private(set) var much = Self.muchGrowth
  /// Lua's memory was beyond that since the last look.
  private var hasBeenMuch = false
  private var next: Int64 = 0
  private var rounds: UInt32 = 0
  /// When a busy dispatcher looks again; 0 while there is nothing to look at.
  private var nextWhenBusy: Int64 = 0

  /// Collects, unless it was done just before: at most every second, and at most for a twentieth of
  /// the time.
  mutating func run(_ memory: UnsafeMutablePointer<milonga_memory>?, _ collect: () -> Void) {
    let start = MonotonicTime.now()
    guard isDue, start >= next else { return }
    collect()
    milonga_trim_memory()
    isDue = false
    let end = MonotonicTime.now()
    next = end + max(Self.shortestInterval, 20 * (end - start))
    if let memory { much = memory.pointee.used * 2 + Self.muchGrowth }
  }

  /// All tasks that were ready have had their turns. Once in 64 rounds: see ``look(_:_:_:)``.
  @inline(__always)
  mutating func roundEnded(
    _ memory: UnsafeMutablePointer<milonga_memory>?, _ pool: BufferPool, _ collect: () -> Void
  ) {
    rounds &+= 1
    if rounds & 63 == 0 { look(memory, pool, collect) }
  }

  /// A busy dispatcher collects when Lua's memory is much for some seconds. When it was, or when
  /// connections have let go of much, what malloc keeps goes back to the system.
  @inline(never)
  private mutating func look(
    _ memory: UnsafeMutablePointer<milonga_memory>?, _ pool: BufferPool, _ collect: () -> Void
  ) {
    if let memory, memory.pointee.used > much { hasBeenMuch = true }
    if hasBeenMuch || pool.bytesFreed > Self.muchGrowth { runWhenBusy(memory, pool, collect) }
  }

  private mutating func runWhenBusy(
    _ memory: UnsafeMutablePointer<milonga_memory>?, _ pool: BufferPool, _ collect: () -> Void
  ) {
    let now = MonotonicTime.now()
    if nextWhenBusy == 0 { nextWhenBusy = now + Self.busyInterval }
    guard now >= nextWhenBusy else { return }
    if let memory, memory.pointee.used > much {
      run(memory, collect)
    } else {
      milonga_trim_memory()
    }
    hasBeenMuch = false
    pool.bytesFreed = 0
    nextWhenBusy = 0
  }
}
