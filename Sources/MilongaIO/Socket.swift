import CMilongaShims
import Glibc
import SystemPackage

/// What came of moving bytes without blocking.
@frozen
public enum Transfer: Equatable, Sendable {
  /// So many bytes moved. For a receive from a stream, 0 is the end of the stream.
  case moved(Int)
  /// It would block.
  case wouldBlock
  case failed(Errno)

  /// Makes a system call that returns a count or -1, again when it was interrupted.
  @inline(__always)
  init(_ systemCall: () -> Int) {
    while true {
      let count = systemCall()
      if count >= 0 {
        self = .moved(count)
        return
      }
      switch errno {
      case EINTR: continue
      case EAGAIN: self = .wouldBlock
      case let code: self = .failed(Errno(rawValue: code))
      }
      return
    }
  }
}

/// Non-blocking system calls on a socket. The descriptor is not owned: closing it is the caller's.
///
/// Interrupted calls are repeated. Sending never raises SIGPIPE.
@frozen
public struct Socket: Sendable {
  public let descriptor: Int32

  @inlinable
  public init(descriptor: Int32) { self.descriptor = descriptor }

  /// A new non-blocking socket that children do not inherit.
  ///
  /// - Parameters:
  ///   - family: `AF_INET`, `AF_INET6`, `AF_UNIX`.
  ///   - stream: a stream socket; otherwise a datagram socket.
  public static func open(family: Int32, stream: Bool) throws(Errno) -> Socket {
    let type = Int32((stream ? SOCK_STREAM : SOCK_DGRAM).rawValue)
    let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = Glibc.socket(family, type | flags, 0)
    guard descriptor >= 0 else { throw Errno(rawValue: errno) }
    return Socket(descriptor: descriptor)
  }

  package func bind(_ address: SocketAddress) throws(Errno) {
    try check(address.withSockaddr { Glibc.bind(descriptor, $0, $1) })
  }

  public func listen(backlog: Int32) throws(Errno) {
    try check(Glibc.listen(descriptor, backlog))
  }

  /// Starts to connect. ``Transfer/wouldBlock`` when it is under way: wait until the socket is
  /// writable and ask ``pendingError()``. (`EAGAIN` is a failure: the queue of a Unix server is
  /// full, and nothing is under way.)
  package func connect(_ address: SocketAddress) -> Transfer {
    while true {
      if address.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) == 0 { return .moved(0) }
      switch errno {
      case EINTR: continue
      case EINPROGRESS: return .wouldBlock
      case let code: return .failed(Errno(rawValue: code))
      }
    }
  }

  /// Takes back a connect that failed, or is under way, so that another one can follow.
  public func disconnect() {
    var nowhere = sockaddr()
    nowhere.sa_family = sa_family_t(AF_UNSPEC)
    _ = Glibc.connect(descriptor, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
  }

  /// The error that ended a connect under way, nil when it succeeded.
  public func pendingError() -> Errno? {
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    if getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) != 0 { code = errno }
    return code == 0 ? nil : Errno(rawValue: code)
  }

  /// Takes a connection from a listening socket, non-blocking and not inherited by children; nil
  /// when there is none.
  public func accept() throws(Errno) -> Socket? {
    while true {
      let accepted = milonga_accept(descriptor)
      if accepted >= 0 { return Socket(descriptor: accepted) }
      switch errno {
      case EINTR, ECONNABORTED: continue
      // An error of the new connection, which is gone with it: others may be behind it.
      case EPROTO, ENOPROTOOPT, EPERM, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, ENONET: continue
      case EAGAIN: return nil
      case let code: throw Errno(rawValue: code)
      }
    }
  }

  public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    Transfer { recv(descriptor, buffer.baseAddress, buffer.count, 0) }
  }

  public func send(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    Transfer { Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) }
  }

  /// Which directions ``shutdown(_:)`` ends.
  public enum Direction: Sendable {
    case receive, send, both
  }

  public func shutdown(_ direction: Direction) throws(Errno) {
    let how: Int =
      switch direction {
      case .receive: SHUT_RD
      case .send: SHUT_WR
      case .both: SHUT_RDWR
      }
    try check(Glibc.shutdown(descriptor, Int32(how)))
  }

  package func localAddress() throws(Errno) -> SocketAddress {
    var address = SocketAddress()
    try check(address.withMutableSockaddr { getsockname(descriptor, $0, $1) })
    return address
  }

  package func peerAddress() throws(Errno) -> SocketAddress {
    var address = SocketAddress()
    try check(address.withMutableSockaddr { getpeername(descriptor, $0, $1) })
    return address
  }

  /// Closes the descriptor. Errors are of no use here: the descriptor is gone either way.
  public func close() { _ = Glibc.close(descriptor) }

  func check(_ status: Int32) throws(Errno) {
    if status != 0 { throw Errno(rawValue: errno) }
  }
}
