import CMilongaShims
import Glibc
import SystemPackage

/// epoll(7), edge-triggered: one epoll_ctl for the life of a descriptor.
final class EpollBackend: ReadinessBackend {
  private static let mostEvents = 512
  private let epoll: Int32
  private let events: UnsafeMutablePointer<epoll_event>

  init() throws(Errno) {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw Errno(rawValue: errno) }
    // From here on `deinit` frees both.
    events = .allocate(capacity: Self.mostEvents)
  }

  deinit {
    close(epoll)
    events.deallocate()
  }

  func add(_ descriptor: Int32, tag: UInt64, for directions: Readiness) throws(Errno) {
    var event = epoll_event()
    event.events = EPOLLRDHUP.rawValue | EPOLLET.rawValue
    if directions.contains(.readable) { event.events |= EPOLLIN.rawValue }
    if directions.contains(.writable) { event.events |= EPOLLOUT.rawValue }
    event.data.u64 = tag
    guard epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
      throw Errno(rawValue: errno)
    }
  }

  func remove(_ descriptor: Int32) {
    var ignored = epoll_event()
    epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &ignored)
  }

  /// The kernel tells every new edge by itself.
  func arm(_ descriptor: Int32, for directions: Readiness) {}

  func wait(milliseconds: Int32, into ready: inout [ReadinessEvent]) throws(Errno) {
    let count = epoll_wait(epoll, events, Int32(Self.mostEvents), milliseconds)
    guard count >= 0 else {
      if errno == EINTR { return }
      throw Errno(rawValue: errno)
    }
    for index in 0..<Int(count) {
      let event = events[index]
      var readiness: Readiness = []
      if event.events & EPOLLIN.rawValue != 0 { readiness.insert(.readable) }
      if event.events & EPOLLOUT.rawValue != 0 { readiness.insert(.writable) }
      if event.events & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
        readiness.formUnion([.readable, .hangup])
      }
      // A failed connect reports an error and nothing else; its waiter waits to write.
      if event.events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
        readiness.insert(.writable)
      }
      ready.append(ReadinessEvent(tag: event.data.u64, readiness: readiness))
    }
  }
}
