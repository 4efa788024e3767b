import Glibc
import SystemPackage

/// poll(2), made edge-triggered: a direction is asked for when it is armed, and no more once it was
/// reported. That the peer sends no more is asked for from the beginning.
final class PollBackend: ReadinessBackend {
  private var polled: [pollfd] = []
  private var tags: [UInt64] = []
  private var places: [Int32: Int] = [:]

  func add(_ descriptor: Int32, tag: UInt64, for directions: Readiness) throws(Errno) {
    guard fcntl(descriptor, F_GETFD) != -1 else { throw Errno(rawValue: errno) }
    guard places[descriptor] == nil else { throw .fileExists }
    places[descriptor] = polled.count
    // As with epoll, what is ready at registration is reported by the first wait.
    polled.append(pollfd(fd: descriptor, events: peerEnded, revents: 0))
    tags.append(tag)
    arm(descriptor, for: directions)
  }

  func remove(_ descriptor: Int32) {
    guard let place = places.removeValue(forKey: descriptor) else { return }
    let last = polled.count - 1
    if place != last {
      polled[place] = polled[last]
      tags[place] = tags[last]
      let moved = polled[place].fd
      places[moved < 0 ? ~moved : moved] = place
    }
    polled.removeLast()
    tags.removeLast()
  }

  func arm(_ descriptor: Int32, for directions: Readiness) {
    guard let place = places[descriptor] else { return }
    if polled[place].fd < 0 { polled[place].fd = descriptor }
    if directions.contains(.readable) { polled[place].events |= Int16(POLLIN) }
    if directions.contains(.writable) { polled[place].events |= Int16(POLLOUT) }
  }

  func wait(milliseconds: Int32, into ready: inout [ReadinessEvent]) throws(Errno) {
    var count = poll(&polled, nfds_t(polled.count), milliseconds)
    guard count >= 0 else {
      if errno == EINTR { return }
      throw Errno(rawValue: errno)
    }
    var place = 0
    while count > 0, place < polled.count {
      let events = polled[place].revents
      if events != 0 {
        count -= 1
        report(place, events, into: &ready)
      }
      place += 1
    }
  }

  private func report(_ place: Int, _ events: Int16, into ready: inout [ReadinessEvent]) {
    var readiness: Readiness = []
    if events & Int16(POLLIN) != 0 { readiness.insert(.readable) }
    if events & Int16(POLLOUT) != 0 { readiness.insert(.writable) }
    if events & peerEnded != 0 {
      readiness.formUnion([.readable, .hangup])
      polled[place].events &= ~peerEnded
    }
    if events & Int16(POLLHUP | POLLERR | POLLNVAL) != 0 {
      readiness.formUnion([.readable, .writable, .hangup])
      // poll(2) reports these whether asked or not, and would again at once: a negative descriptor
      // is passed over until it is armed.
      polled[place].fd = ~polled[place].fd
      polled[place].events = 0
    }
    if readiness.contains(.readable) { polled[place].events &= ~Int16(POLLIN) }
    if readiness.contains(.writable) { polled[place].events &= ~Int16(POLLOUT) }
    polled[place].revents = 0
    ready.append(ReadinessEvent(tag: tags[place], readiness: readiness))
  }
}

/// POLLRDHUP of Linux.
private let peerEnded: Int16 = 0x2000
