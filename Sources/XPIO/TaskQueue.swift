import Glibc
import MilongaIO
import MilongaScheduler
import SystemPackage

/// Which tasks wait for which descriptor, and which are ready. A task is known by the number of its
/// *slot*; the task itself, a table of Lua, belongs to the queue's user.
///
/// A descriptor is registered once and its events come edge by edge, but tasks ask whether it *is*
/// ready. The descriptor's handle knows when it was last found empty or full, the queue when it
/// last saw an event: if that came later, the descriptor is *suspect*, and the next wait asks the
/// system with poll(2). One that was read until it was empty is not, so that a message costs no
/// system call besides the wait.
///
/// An event makes one task ready, the one that has waited longest. If more wait for the same, the
/// descriptor is suspect: the next one is ready when the first has left something.
final class TaskQueue {
  /// A list of slots through their own places, so that leaving it takes the same time everywhere.
  private struct List {
    var first: Int32 = -1
    var last: Int32 = -1
  }

  /// One direction of a descriptor: those of descriptor `d` are at `2 * d` (to read) and `2 * d +
  /// 1`.
  private struct Side {
    var waiting = List()
    /// When an event was last seen, by the clock.
    var eventAt: UInt64 = 0
    /// Which wait last made a task ready.
    var wokenBy: UInt64 = 0
    var isSuspect = false
  }

  private struct Watch {
    /// The handle's serial number; 0 while the descriptor is not registered.
    var owner: UInt64 = 0
    var generation: UInt32 = 0
    var isHungUp = false
  }

  private enum Place {
    static let free: Int32 = -2
    static let ready: Int32 = -1
  }

  private struct Slot {
    var generation: UInt32 = 0
    /// The side that it waits at, or one of ``Place``.
    var place = Place.free
    var previous: Int32 = -1
    var next: Int32 = -1
  }

  /// The queue's number in its library, from 1.
  let number: Int
  private let readiness: ReadinessQueue
  private let clock: EventClock
  private var watches: [Watch] = []
  private var sides: [Side] = []
  private var slots: [Slot] = []
  private var freeSlots: [Int32] = []
  private var suspects: [Int32] = []
  private var ready = List()
  private var polled: [pollfd] = []
  private var waits: UInt64 = 0

  /// Tasks that wait, or are ready and were not yet taken.
  private(set) var count = 0

  init(_ kind: ReadinessQueue.Kind, number: Int, clock: EventClock) throws(Errno) {
    self.number = number
    self.clock = clock
    readiness = try ReadinessQueue(kind)
  }

  // MARK: Tasks

  /// A task waits until the descriptor is ready in `direction`. One that is closed, or cannot be
  /// waited for because it never blocks (a regular file), is ready at once.
  ///
  /// - Returns: the slot's number for ``remove(_:)``; never used again for another task.
  func add(_ handle: inout Handle, _ direction: Direction) throws(Errno) -> Int {
    var isWaiting = handle.descriptor >= 0
    if isWaiting {
      do throws(Errno) {
        try register(&handle)
      } catch .notPermitted {
        isWaiting = false
      }
    }
    let slot = takeFreeSlot()
    count += 1
    if isWaiting {
      let side = handle.descriptor * 2 + (direction == .read ? 0 : 1)
      append(slot, to: &sides[Int(side)].waiting)
      slots[Int(slot)].place = side
      let watch = watches[Int(handle.descriptor)]
      if watch.isHungUp || sides[Int(side)].eventAt > handle.unready(direction) {
        suspect(side)
      } else {
        readiness.arm(handle.descriptor, for: direction.readiness)
      }
    } else {
      append(slot, to: &ready)
      slots[Int(slot)].place = Place.ready
    }
    return Int(slots[Int(slot)].generation) << 32 | Int(slot)
  }

  /// The task with this number waits no more. A number that is not in use any more does no harm.
  ///
  /// - Returns: its slot; nil when it did not wait.
  func remove(_ number: Int) -> Int? {
    let slot = Int32(truncatingIfNeeded: number)
    guard slots.indices.contains(Int(slot)), slots[Int(slot)].place != Place.free,
      slots[Int(slot)].generation == UInt32(truncatingIfNeeded: number >> 32)
    else { return nil }
    unlink(slot)
    release(slot)
    return Int(slot)
  }

  /// Takes the task that has been ready longest: its slot; nil when there is none.
  func takeReady() -> Int? {
    let slot = ready.first
    guard slot >= 0 else { return nil }
    unlink(slot)
    release(slot)
    return Int(slot)
  }

  /// Whether a task could be taken.
  private var hasReady: Bool { ready.first >= 0 }

  // MARK: Waiting

  /// Waits until a task is ready, `deadline` has passed, or `isInterrupted` says so after a signal.
  func wait(until deadline: Int64, isInterrupted: () -> Bool) throws(Errno) {
    waits += 1
    while true {
      if !suspects.isEmpty { askForSuspects() }
      var milliseconds: Int32 = 0
      if !hasReady {
        let now = deadline == MonotonicTime.never ? 0 : MonotonicTime.now()
        milliseconds = MonotonicTime.milliseconds(until: deadline, from: now)
      }
      var isQuiet = true
      try readiness.wait(milliseconds: milliseconds) { event in
        isQuiet = false
        note(event)
      }
      if hasReady || milliseconds == 0 || isQuiet && isInterrupted() { return }
    }
  }

  private func note(_ event: ReadinessEvent) {
    let descriptor = Int32(truncatingIfNeeded: event.tag)
    guard watches[Int(descriptor)].owner != 0,
      watches[Int(descriptor)].generation == UInt32(truncatingIfNeeded: event.tag >> 32)
    else { return }
    let now = clock.tick()
    if event.readiness.contains(.hangup) { watches[Int(descriptor)].isHungUp = true }
    if !event.readiness.isDisjoint(with: [.readable, .hangup]) { isReady(descriptor * 2, now) }
    if event.readiness.contains(.writable) { isReady(descriptor * 2 + 1, now) }
  }

  private func isReady(_ side: Int32, _ now: UInt64) {
    sides[Int(side)].eventAt = now
    let slot = sides[Int(side)].waiting.first
    guard slot >= 0 else { return }
    // A suspect that was found ready may be told by an event, too.
    if sides[Int(side)].wokenBy != waits {
      sides[Int(side)].wokenBy = waits
      makeReady(slot)
    }
    if sides[Int(side)].waiting.first >= 0 { suspect(side) }
  }

  private func makeReady(_ slot: Int32) {
    unlink(slot)
    append(slot, to: &ready)
    slots[Int(slot)].place = Place.ready
  }

  private func suspect(_ side: Int32) {
    guard !sides[Int(side)].isSuspect else { return }
    sides[Int(side)].isSuspect = true
    suspects.append(side)
  }

  /// Asks the system which of the suspects are ready.
  private func askForSuspects() {
    // Those that are ready may come back into the list.
    let asked = suspects.filter { sides[Int($0)].waiting.first >= 0 }
    for side in suspects { sides[Int(side)].isSuspect = false }
    suspects.removeAll(keepingCapacity: true)
    // poll(2) takes no more entries than the process may have descriptors.
    var start = 0
    while start < asked.count {
      let some = asked[start..<min(start + 256, asked.count)]
      start += some.count
      polled.removeAll(keepingCapacity: true)
      for side in some {
        polled.append(
          pollfd(fd: side / 2, events: Int16(side % 2 == 0 ? POLLIN : POLLOUT), revents: 0))
      }
      _ = poll(&polled, nfds_t(polled.count), 0)
      for (side, result) in zip(some, polled) {
        if result.revents != 0 {
          isReady(side, clock.tick())
        } else {
          sides[Int(side)].eventAt = 0
          if side % 2 == 0 { watches[Int(side / 2)].isHungUp = false }
          readiness.arm(side / 2, for: side % 2 == 0 ? .readable : .writable)
        }
      }
    }
  }

  // MARK: Descriptors

  private func register(_ handle: inout Handle) throws(Errno) {
    let descriptor = handle.descriptor
    while watches.count <= Int(descriptor) {
      watches.append(Watch())
      sides.append(Side())
      sides.append(Side())
    }
    let owner = watches[Int(descriptor)].owner
    if owner == handle.serial { return }
    // The descriptor that had this number was closed by other code.
    if owner != 0 { forget(descriptor, owner: owner) }
    let generation = watches[Int(descriptor)].generation &+ 1
    try readiness.add(
      descriptor, tag: UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor)))
    watches[Int(descriptor)] = Watch(owner: handle.serial, generation: generation)
    // What is ready at registration is told by the next wait.
    sides[Int(descriptor) * 2].eventAt = 0
    sides[Int(descriptor) * 2 + 1].eventAt = 0
    handle.isRegistered(with: number)
  }

  /// A descriptor is going to be closed. The tasks that wait for it are ready, and will find out.
  ///
  /// - Parameter owner: the serial number of its handle.
  func forget(_ descriptor: Int32, owner: UInt64) {
    guard descriptor >= 0, watches.count > Int(descriptor),
      watches[Int(descriptor)].owner == owner
    else { return }
    readiness.remove(descriptor)
    watches[Int(descriptor)].owner = 0
    for side in [descriptor * 2, descriptor * 2 + 1] {
      while sides[Int(side)].waiting.first >= 0 { makeReady(sides[Int(side)].waiting.first) }
    }
  }

  // MARK: Slots

  private func takeFreeSlot() -> Int32 {
    if let slot = freeSlots.popLast() { return slot }
    slots.append(Slot())
    return Int32(slots.count - 1)
  }

  private func release(_ slot: Int32) {
    slots[Int(slot)].place = Place.free
    slots[Int(slot)].generation &+= 1
    freeSlots.append(slot)
    count -= 1
  }

  private func append(_ slot: Int32, to list: inout List) {
    slots[Int(slot)].previous = list.last
    slots[Int(slot)].next = -1
    if list.last >= 0 { slots[Int(list.last)].next = slot } else { list.first = slot }
    list.last = slot
  }

  private func unlink(_ slot: Int32) {
    let place = slots[Int(slot)].place
    if place == Place.ready {
      unlink(slot, from: &ready)
    } else {
      unlink(slot, from: &sides[Int(place)].waiting)
    }
  }

  private func unlink(_ slot: Int32, from list: inout List) {
    let (previous, next) = (slots[Int(slot)].previous, slots[Int(slot)].next)
    if previous >= 0 { slots[Int(previous)].next = next } else { list.first = next }
    if next >= 0 { slots[Int(next)].previous = previous } else { list.last = previous }
  }
}
