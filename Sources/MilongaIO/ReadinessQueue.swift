import CMilongaShims
import Glibc
import SystemPackage

/// What a descriptor became ready for.
public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt8
  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var readable: Readiness { Readiness(rawValue: 1) }
  @inlinable public static var writable: Readiness { Readiness(rawValue: 2) }
  /// The peer will send no more, or the descriptor failed: reads will not block any more. Told
  /// once, and whether anything is asked for or not.
  @inlinable public static var hangup: Readiness { Readiness(rawValue: 4) }
}

/// One descriptor that became ready.
public struct ReadinessEvent: Sendable {
  /// What was given with the registration.
  public let tag: UInt64
  public let readiness: Readiness
}

/// How a ``ReadinessQueue`` asks the system.
protocol ReadinessBackend: AnyObject {
  /// Watches a descriptor in these directions.
  func add(_ descriptor: Int32, tag: UInt64, for directions: Readiness) throws(Errno)
  /// Stops watching; unknown descriptors are ignored.
  func remove(_ descriptor: Int32)
  /// Asks for the next event of these directions, after the last one was used up.
  func arm(_ descriptor: Int32, for directions: Readiness)
  /// Waits for events, at most `milliseconds` (-1 for ever), and appends them. An interrupted wait
  /// ends without events.
  func wait(milliseconds: Int32, into events: inout [ReadinessEvent]) throws(Errno)
}

/// Tells which descriptors became ready.
///
/// A descriptor is registered once, for both directions; an event is told when it *becomes* ready
/// (edge-triggered). The user goes on until the system says "would block" (a read shorter than
/// asked says the same), then calls ``arm(_:for:)`` and waits for the next event.
public final class ReadinessQueue {
  /// The systems that can be used.
  public enum Kind: String, Sendable, CaseIterable {
    /// epoll(7): Linux; cost does not depend on the number of descriptors.
    case epoll
    /// poll(2): any POSIX system.
    case poll

    /// epoll, unless the environment says `MILONGA_READINESS=poll`.
    public static var chosen: Kind {
      getenv("MILONGA_READINESS").flatMap { Kind(rawValue: String(cString: $0)) } ?? .epoll
    }
  }

  private static let wakeTag = UInt64.max
  private let backend: any ReadinessBackend
  /// The kernel tells every new edge to epoll by itself.
  private let needsArming: Bool
  private let wakeDescriptor: Int32
  private var buffer: [ReadinessEvent] = []

  /// - Throws: `Errno` when the process has no descriptors left.
  public init(_ kind: Kind = .epoll) throws(Errno) {
    needsArming = kind != .epoll
    backend =
      switch kind {
      case .epoll: try EpollBackend()
      case .poll: PollBackend()
      }
    let wakeDescriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    guard wakeDescriptor >= 0 else { throw Errno(rawValue: errno) }
    // From here on `deinit` closes it.
    self.wakeDescriptor = wakeDescriptor
    // Only to read: reading it is an edge to epoll, too, which would end the next wait.
    try backend.add(wakeDescriptor, tag: Self.wakeTag, for: .readable)
  }

  deinit { close(wakeDescriptor) }

  /// Watches `descriptor`. Its events carry `tag`, which must not be `UInt64.max`.
  ///
  /// - Throws: `Errno.fileExists` when it is watched already, `Errno.badFileDescriptor` when it is
  ///   not open; epoll also `Errno.notPermitted` for regular files, which are always ready.
  public func add(_ descriptor: Int32, tag: UInt64) throws(Errno) {
    try backend.add(descriptor, tag: tag, for: [.readable, .writable])
  }

  /// Stops watching. To be called before the descriptor is closed.
  public func remove(_ descriptor: Int32) { backend.remove(descriptor) }

  /// Asks for the next event in these directions.
  @inline(__always)
  public func arm(_ descriptor: Int32, for directions: Readiness) {
    if needsArming { backend.arm(descriptor, for: directions) }
  }

  /// Waits until something is ready, ``wake`` is called, or `milliseconds` have passed (-1: for
  /// ever), then runs `body` for each event.
  public func wait(
    milliseconds: Int32, _ body: (ReadinessEvent) -> Void
  ) throws(Errno) {
    buffer.removeAll(keepingCapacity: true)
    try backend.wait(milliseconds: milliseconds, into: &buffer)
    for event in buffer {
      if event.tag == Self.wakeTag {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, 8)
        backend.arm(wakeDescriptor, for: .readable)
      } else {
        body(event)
      }
    }
  }

  /// Wakes the waiting thread from any other. Must not be used after the queue is gone.
  public var waker: Waker { Waker(descriptor: wakeDescriptor) }

  public struct Waker: Sendable {
    let descriptor: Int32

    /// From now on the first SIGINT or SIGTERM ends the wait instead of the process, and is told by
    /// `milonga_termination_signal()`; a second one ends the process.
    ///
    /// - Returns: whether ``releaseTermination()`` has to follow: false when another loop has the
    ///   signals.
    public func catchTermination() -> Bool { milonga_catch_termination(descriptor) != 0 }

    /// The signals do again what they did before.
    public func releaseTermination() { milonga_release_termination() }

    /// Ends the wait that is under way, or the next one.
    public func wake() {
      var one: UInt64 = 1
      _ = write(descriptor, &one, 8)
    }
  }
}
