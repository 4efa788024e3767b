import DequeModule

/// What is known of each descriptor: whether it is ready, and which tasks wait for it.
///
/// Nearly always one task reads and one writes, so each has a slot; further waiters queue behind
/// them in a list that exists only while it is needed.
@usableFromInline
struct DescriptorTable: ~Copyable {
  @usableFromInline
  struct Entry: BitwiseCopyable {
    var reader: TaskID?
    var writer: TaskID?
    var generation: UInt32 = 0
    @usableFromInline var flags: Flags = []
  }

  @usableFromInline
  struct Flags: OptionSet, BitwiseCopyable {
    @usableFromInline let rawValue: UInt8
    @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable static var watched: Flags { Flags(rawValue: 1) }
    @inlinable static var readable: Flags { Flags(rawValue: 2) }
    @inlinable static var writable: Flags { Flags(rawValue: 4) }
    @inlinable static var hangup: Flags { Flags(rawValue: 8) }
    /// More wait for it than there are slots.
    @inlinable static var overflowing: Flags { Flags(rawValue: 16) }
  }

  private struct OverflowKey: Hashable {
    let descriptor: Int32
    let direction: Direction
  }

  @usableFromInline var entries = RawArray<Entry>()
  private var overflow: [OverflowKey: Deque<TaskID>] = [:]

  /// Where the entry of a descriptor is that is watched; nil for others.
  @inlinable
  @inline(__always)
  func watched(_ descriptor: Int32) -> UnsafeMutablePointer<Entry>? {
    guard let entry = entries.place(descriptor), entry.pointee.flags.contains(.watched) else {
      return nil
    }
    return entry
  }

  /// Makes an entry when there is none yet.
  private mutating func entry(_ descriptor: Int32) -> UnsafeMutablePointer<Entry> {
    while entries.count <= Int(descriptor) { entries.append(Entry()) }
    return entries.place(descriptor)!
  }

  /// Starts a new life of a descriptor: it counts as ready until a task finds that it is not.
  mutating func watch(_ descriptor: Int32) -> UInt32 {
    let entry = entry(descriptor)
    entry.pointee.generation &+= 1
    entry.pointee.flags.formIntersection(.overflowing)
    entry.pointee.flags.formUnion([.watched, .readable, .writable])
    return entry.pointee.generation
  }

  func unwatch(_ descriptor: Int32) {
    guard let entry = watched(descriptor) else { return }
    entry.pointee.generation &+= 1
    entry.pointee.flags = []
  }

  @inlinable
  @inline(__always)
  func isReady(_ descriptor: Int32, _ direction: Direction) -> Bool {
    guard let entry = watched(descriptor) else { return true }
    let ready: Flags = direction == .read ? [.readable, .hangup] : .writable
    return !entry.pointee.flags.isDisjoint(with: ready)
  }

  /// False for an event of a former life.
  @inline(__always)
  func markReady(
    _ descriptor: Int32, generation: UInt32, readable: Bool, writable: Bool, hangup: Bool
  ) -> Bool {
    guard let entry = watched(descriptor), entry.pointee.generation == generation else {
      return false
    }
    if readable { entry.pointee.flags.formUnion(.readable) }
    if writable { entry.pointee.flags.formUnion(.writable) }
    if hangup { entry.pointee.flags.formUnion(.hangup) }
    return true
  }

  /// Whether the descriptor is watched.
  func markReadable(_ descriptor: Int32) -> Bool {
    guard let entry = watched(descriptor) else { return false }
    entry.pointee.flags.formUnion(.readable)
    return true
  }

  @inlinable
  @inline(__always)
  func markUnready(_ descriptor: Int32, _ direction: Direction) {
    watched(descriptor)?.pointee.flags.subtract(direction == .read ? .readable : .writable)
  }

  @inlinable
  @inline(__always)
  func drained(_ descriptor: Int32) -> Bool {
    guard let entry = watched(descriptor) else { return true }
    entry.pointee.flags.subtract(.readable)
    return entry.pointee.flags.contains(.hangup)
  }

  @inline(__always)
  mutating func addWaiter(_ task: TaskID, on descriptor: Int32, _ direction: Direction) {
    let entry = entries.place(descriptor) ?? entry(descriptor)
    if !entry.pointee.flags.contains(.overflowing) {
      switch direction {
      case .read where entry.pointee.reader == nil:
        entry.pointee.reader = task
        return
      case .write where entry.pointee.writer == nil:
        entry.pointee.writer = task
        return
      default: break
      }
    }
    addToOverflow(task, of: descriptor, direction)
  }

  private mutating func addToOverflow(
    _ task: TaskID, of descriptor: Int32, _ direction: Direction
  ) {
    entry(descriptor).pointee.flags.formUnion(.overflowing)
    overflow[OverflowKey(descriptor: descriptor, direction: direction), default: []].append(task)
  }

  mutating func removeWaiter(_ task: TaskID, on descriptor: Int32, _ direction: Direction) {
    guard let entry = entries.place(descriptor) else { return }
    if direction == .read, entry.pointee.reader == task {
      entry.pointee.reader = nil
    } else if direction == .write, entry.pointee.writer == task {
      entry.pointee.writer = nil
    } else {
      let key = OverflowKey(descriptor: descriptor, direction: direction)
      if let place = overflow[key]?.firstIndex(of: task) { overflow[key]?.remove(at: place) }
      if overflow[key]?.isEmpty == true { overflow[key] = nil }
    }
    if entry.pointee.flags.contains(.overflowing),
      overflow[OverflowKey(descriptor: descriptor, direction: .read)] == nil,
      overflow[OverflowKey(descriptor: descriptor, direction: .write)] == nil
    {
      entry.pointee.flags.subtract(.overflowing)
    }
  }

  /// The task that has waited longest; it waits no more.
  @inline(__always)
  mutating func takeFirstWaiter(on descriptor: Int32, _ direction: Direction) -> TaskID? {
    guard let entry = entries.place(descriptor) else { return nil }
    if entry.pointee.flags.contains(.overflowing) {
      return takeFirstOfOverflowing(descriptor, direction)
    }
    switch direction {
    case .read:
      guard let reader = entry.pointee.reader else { return nil }
      entry.pointee.reader = nil
      return reader
    case .write:
      guard let writer = entry.pointee.writer else { return nil }
      entry.pointee.writer = nil
      return writer
    }
  }

  private mutating func takeFirstOfOverflowing(
    _ descriptor: Int32, _ direction: Direction
  ) -> TaskID? {
    guard let task = firstWaiter(on: descriptor, direction) else { return nil }
    removeWaiter(task, on: descriptor, direction)
    return task
  }

  /// The task that has waited longest.
  func firstWaiter(on descriptor: Int32, _ direction: Direction) -> TaskID? {
    guard let entry = entries.place(descriptor)?.pointee else { return nil }
    if let waiter = direction == .read ? entry.reader : entry.writer { return waiter }
    guard entry.flags.contains(.overflowing) else { return nil }
    return overflow[OverflowKey(descriptor: descriptor, direction: direction)]?.first
  }
}

extension Scheduler {
  /// A descriptor is registered with the readiness queue. The number tells its events from those of
  /// an earlier descriptor with the same number.
  public func watch(_ descriptor: Int32) -> UInt32 { descriptors.watch(descriptor) }

  /// A descriptor is closed or given away. The tasks that wait for it get a turn, and will find
  /// out.
  public func unwatch(_ descriptor: Int32) {
    wakeWaiters(of: descriptor, .read)
    wakeWaiters(of: descriptor, .write)
    descriptors.unwatch(descriptor)
  }

  public func isWatched(_ descriptor: Int32) -> Bool {
    descriptors.watched(descriptor) != nil
  }

  /// Whether the descriptor has still the life that got this number from ``watch(_:)``.
  public func isWatched(_ descriptor: Int32, generation: UInt32) -> Bool {
    descriptors.watched(descriptor)?.pointee.generation == generation
  }

  /// Whether it is worth trying: false only between ``markUnready(_:_:)`` and the next event.
  /// Descriptors that are not watched always count as ready.
  @inlinable
  public func isReady(_ descriptor: Int32, _ direction: Direction) -> Bool {
    descriptors.isReady(descriptor, direction)
  }

  /// Whether the peer of a descriptor has hung up, as far as is known.
  public func hasHungUp(_ descriptor: Int32) -> Bool {
    descriptors.watched(descriptor)?.pointee.flags.contains(.hangup) == true
  }

  /// A read got less than it asked for: the next one would block, unless the peer has hung up.
  ///
  /// - Returns: whether it would not.
  @inlinable
  public func drained(_ descriptor: Int32) -> Bool { descriptors.drained(descriptor) }

  /// The system said "would block", or moved less than was asked for.
  @inlinable
  public func markUnready(_ descriptor: Int32, _ direction: Direction) {
    descriptors.markUnready(descriptor, direction)
  }
}
