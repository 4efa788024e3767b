import DequeModule

/// What is known of each descriptor: whether it is ready, and who waits for it.
///
/// Nearly always one task reads and one writes, so each has a slot; further waiters queue behind them
/// in a list that exists only while it is needed.
final class DescriptorTable {
  struct Entry: BitwiseCopyable {
    var reader: TaskID?
    var writer: TaskID?
    var generation: UInt32 = 0
    var flags: UInt8 = 0
  }

  private static let watched: UInt8 = 1
  private static let readable: UInt8 = 2
  private static let writable: UInt8 = 4
  private static let hangup: UInt8 = 8
  private static let overflowing: UInt8 = 16

  private struct OverflowKey: Hashable {
    let descriptor: Int32
    let direction: Direction
  }

  private var entries = Slab<Entry>()
  private var overflow: [OverflowKey: Deque<TaskID>] = [:]

  deinit { entries.deallocate() }

  /// Starts a new life of a descriptor: it counts as ready until somebody finds that it is not.
  func watch(_ descriptor: Int32) -> UInt32 {
    let index = Int(descriptor)
    while entries.count <= index { entries.append(Entry()) }
    entries[index].generation &+= 1
    entries[index].flags &= Self.overflowing
    entries[index].flags |= Self.watched | Self.readable | Self.writable
    return entries[index].generation
  }

  func unwatch(_ descriptor: Int32) {
    guard isWatched(descriptor) else { return }
    entries[Int(descriptor)].generation &+= 1
    entries[Int(descriptor)].flags = 0
  }

  @inline(__always)
  func isWatched(_ descriptor: Int32) -> Bool {
    descriptor >= 0 && Int(descriptor) < entries.count
      && entries[Int(descriptor)].flags & Self.watched != 0
  }

  @inline(__always)
  func isReady(_ descriptor: Int32, _ direction: Direction) -> Bool {
    guard isWatched(descriptor) else { return true }
    let flags = entries[Int(descriptor)].flags
    return flags & (direction == .read ? Self.readable | Self.hangup : Self.writable) != 0
  }

  /// False for an event of a former life.
  func markReady(
    _ descriptor: Int32, generation: UInt32, readable: Bool, writable: Bool, hangup: Bool
  ) -> Bool {
    guard isWatched(descriptor), entries[Int(descriptor)].generation == generation else {
      return false
    }
    var flags = entries[Int(descriptor)].flags
    if readable { flags |= Self.readable }
    if writable { flags |= Self.writable }
    if hangup { flags |= Self.hangup }
    entries[Int(descriptor)].flags = flags
    return true
  }

  @inline(__always)
  func markUnready(_ descriptor: Int32, _ direction: Direction) {
    guard isWatched(descriptor) else { return }
    entries[Int(descriptor)].flags &= ~(direction == .read ? Self.readable : Self.writable)
  }

  @inline(__always)
  func drained(_ descriptor: Int32) -> Bool {
    guard isWatched(descriptor) else { return true }
    entries[Int(descriptor)].flags &= ~Self.readable
    return entries[Int(descriptor)].flags & Self.hangup != 0
  }

  func addWaiter(_ task: TaskID, on descriptor: Int32, _ direction: Direction) {
    let index = Int(descriptor)
    while entries.count <= index { entries.append(Entry()) }
    if entries[index].flags & Self.overflowing == 0 {
      switch direction {
      case .read where entries[index].reader == nil:
        entries[index].reader = task
        return
      case .write where entries[index].writer == nil:
        entries[index].writer = task
        return
      default: break
      }
    }
    entries[index].flags |= Self.overflowing
    overflow[OverflowKey(descriptor: descriptor, direction: direction), default: []].append(task)
  }

  func removeWaiter(_ task: TaskID, on descriptor: Int32, _ direction: Direction) {
    let index = Int(descriptor)
    if direction == .read, entries[index].reader == task {
      entries[index].reader = nil
    } else if direction == .write, entries[index].writer == task {
      entries[index].writer = nil
    } else {
      let key = OverflowKey(descriptor: descriptor, direction: direction)
      if let place = overflow[key]?.firstIndex(of: task) { overflow[key]?.remove(at: place) }
      if overflow[key]?.isEmpty == true { overflow[key] = nil }
    }
    if entries[index].flags & Self.overflowing != 0,
      overflow[OverflowKey(descriptor: descriptor, direction: .read)] == nil,
      overflow[OverflowKey(descriptor: descriptor, direction: .write)] == nil
    {
      entries[index].flags &= ~Self.overflowing
    }
  }

  /// Whether to ask for the first waiter. Also true when only the other direction overflows.
  @inline(__always)
  func mayHaveWaiter(_ descriptor: Int32, _ direction: Direction) -> Bool {
    guard descriptor >= 0, Int(descriptor) < entries.count else { return false }
    let entry = entries[Int(descriptor)]
    return (direction == .read ? entry.reader : entry.writer) != nil
      || entry.flags & Self.overflowing != 0
  }

  /// Who has waited longest, and waits no more.
  @inline(__always)
  func takeFirstWaiter(on descriptor: Int32, _ direction: Direction) -> TaskID? {
    let index = Int(descriptor)
    if entries[index].flags & Self.overflowing == 0 {
      switch direction {
      case .read:
        defer { entries[index].reader = nil }
        return entries[index].reader
      case .write:
        defer { entries[index].writer = nil }
        return entries[index].writer
      }
    }
    guard let task = firstWaiter(on: descriptor, direction) else { return nil }
    removeWaiter(task, on: descriptor, direction)
    return task
  }

  /// Who has waited longest.
  @inline(__always)
  func firstWaiter(on descriptor: Int32, _ direction: Direction) -> TaskID? {
    guard descriptor >= 0, Int(descriptor) < entries.count else { return nil }
    let entry = entries[Int(descriptor)]
    if let waiter = direction == .read ? entry.reader : entry.writer { return waiter }
    guard entry.flags & Self.overflowing != 0 else { return nil }
    return overflow[OverflowKey(descriptor: descriptor, direction: direction)]?.first
  }
}

extension Scheduler {
  /// A descriptor is registered with the readiness queue. The number tells its events from those of
  /// an earlier descriptor with the same number.
  public func watch(_ descriptor: Int32) -> UInt32 { descriptors.watch(descriptor) }

  /// A descriptor is closed or given away: whoever waits for it gets a turn, and will find out.
  public func unwatch(_ descriptor: Int32) {
    wakeWaiters(of: descriptor, .read)
    wakeWaiters(of: descriptor, .write)
    descriptors.unwatch(descriptor)
  }

  public func isWatched(_ descriptor: Int32) -> Bool { descriptors.isWatched(descriptor) }

  /// Whether it is worth trying: false only between ``markUnready(_:_:)`` and the next event.
  /// Descriptors that are not watched always count as ready.
  @inline(__always)
  public func isReady(_ descriptor: Int32, _ direction: Direction) -> Bool {
    descriptors.isReady(descriptor, direction)
  }

  /// A read got less than it asked for: the next one would block, unless the peer has hung up.
  ///
  /// - Returns: whether it would not.
  public func drained(_ descriptor: Int32) -> Bool { descriptors.drained(descriptor) }

  /// The system said "would block", or moved less than was asked for.
  @inline(__always)
  public func markUnready(_ descriptor: Int32, _ direction: Direction) {
    descriptors.markUnready(descriptor, direction)
  }

  /// Whether somebody waits for it.
  public func hasWaiter(_ descriptor: Int32, _ direction: Direction) -> Bool {
    descriptors.firstWaiter(on: descriptor, direction) != nil
  }
}
