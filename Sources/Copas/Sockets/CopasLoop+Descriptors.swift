import Glibc
import LuaSocket
import MilongaIO
import MilongaScheduler
import SystemPackage

// Which descriptors the dispatcher knows, and the observers that are told when a peer hangs up.
extension CopasLoop {
  /// Registers a descriptor that is going to be waited for.
  package func watch(_ socket: UnsafeMutablePointer<SocketObject>) throws(Errno) {
    guard !socket.pointee.isWatched else { return }
    try register(socket.pointee.descriptor)
    socket.pointee.isWatched = true
  }

  /// Begins a new life of a descriptor. The number may be registered already: with `setfd` two
  /// objects can have the same, and another library does not tell when it closes one.
  package func register(_ descriptor: Int32) throws(Errno) {
    guard fcntl(descriptor, F_GETFD) >= 0 else { throw Errno(rawValue: errno) }
    if scheduler.isWatched(descriptor) { readiness.remove(descriptor) }
    let generation = scheduler.watch(descriptor)
    do throws(Errno) {
      try readiness.add(descriptor, tag: UInt64(generation) << 32 | UInt64(UInt32(descriptor)))
    } catch {
      scheduler.unwatch(descriptor)
      throw error
    }
  }

  /// A descriptor is going to be closed. The tasks that wait for it get a turn, and find out.
  package func forget(_ descriptor: Int32) {
    hangupObservers.forget(descriptor)
    servers.forgetDatagramServer(descriptor)
    readiness.remove(descriptor)
    scheduler.unwatch(descriptor)
  }
}

/// An object that has to know that the other side of a connection has gone, or sends no more, even
/// while nothing is read from the connection.
package protocol HangupObserver: AnyObject {
  /// Is called between turns, once for a descriptor. What was received before may still have to be
  /// read.
  func hungUp()
}

/// The observers, by descriptors. They are not kept alive.
struct HangupObservers {
  private struct Unowned {
    // Not weak: retaining and releasing an object is slower as soon as a weak reference to it
    // exists.
    unowned(unsafe) let observer: any HangupObserver
  }

  private var observers: [Int32: Unowned] = [:]

  subscript(descriptor: Int32) -> (any HangupObserver)? { observers[descriptor]?.observer }

  mutating func add(_ observer: some HangupObserver, of descriptor: Int32) {
    observers[descriptor] = Unowned(observer: observer)
  }

  /// Another observer of the descriptor stays.
  mutating func remove(_ observer: some HangupObserver, of descriptor: Int32) {
    guard observers[descriptor]?.observer === observer else { return }
    observers[descriptor] = nil
  }

  mutating func forget(_ descriptor: Int32) {
    if !observers.isEmpty { observers[descriptor] = nil }
  }
}

extension CopasLoop {
  /// Tells the observer of a hang-up of the descriptor, which must be registered. That ends when
  /// the descriptor is forgotten; an observer that goes before calls
  /// ``stopObservingHangup(of:by:)``.
  package func observeHangup(of descriptor: Int32, by observer: some HangupObserver) {
    hangupObservers.add(observer, of: descriptor)
  }

  package func stopObservingHangup(of descriptor: Int32, by observer: some HangupObserver) {
    hangupObservers.remove(observer, of: descriptor)
  }

  /// - Parameter tag: that of the registration.
  @inline(never)
  func tellHangup(_ tag: UInt64) {
    let descriptor = Int32(truncatingIfNeeded: tag)
    guard let observer = hangupObservers[descriptor],
      scheduler.isWatched(descriptor, generation: UInt32(truncatingIfNeeded: tag >> 32))
    else { return }
    observer.hungUp()
  }
}
