import Glibc
import LuaSocket
import MilongaIO
import SystemPackage
import Testing

/// The addresses of a name are tried in turn.
@Suite("Connecting to a peer with several addresses")
struct ConnectAttemptTests {
  /// A listening socket on loopback, and its address.
  private func listener() throws -> (socket: Socket, address: SocketAddress) {
    let socket = try Socket.open(family: AF_INET, stream: true)
    try socket.bind(SocketAddress(numeric: "127.0.0.1", port: 0)!)
    try socket.listen(backlog: 5)
    return (socket, try socket.localAddress())
  }

  /// An address where no program listens: a socket that does not listen holds the port.
  private func deserted() throws -> SocketAddress {
    let holder = try Socket.open(family: AF_INET, stream: true)
    try holder.bind(SocketAddress(numeric: "127.0.0.1", port: 0)!)
    return try holder.localAddress()
  }

  /// Follows the attempt to its end.
  private func run(_ addresses: [SocketAddress]) throws -> (SocketFailure?, SocketObject) {
    let socket = UnsafeMutablePointer<SocketObject>.allocate(capacity: 1)
    socket.initialize(to: SocketObject())
    defer { socket.deallocate() }
    var attempt = ConnectAttempt(addresses)
    while true {
      switch attempt.proceed(socket, replace: { replace(socket, $0) }) {
      case .done: return (nil, socket.pointee)
      case .failed(let failure): return (failure, socket.pointee)
      case .wait:
        var polled = pollfd(fd: socket.pointee.descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&polled, 1, 60_000)
      }
    }
  }

  private func replace(
    _ socket: UnsafeMutablePointer<SocketObject>, _ family: Int32
  ) -> SocketFailure? {
    if socket.pointee.descriptor >= 0 { socket.pointee.socket.close() }
    guard let opened = try? Socket.open(family: family, stream: true) else { return .closed }
    socket.pointee.descriptor = opened.descriptor
    socket.pointee.family = family
    return nil
  }

  @Test func firstAddress() throws {
    let (server, address) = try listener()
    let (failure, socket) = try run([address, try deserted()])
    #expect(failure == nil)
    #expect(try socket.socket.peerAddress().port == address.port)
    socket.socket.close()
    server.close()
  }

  @Test func lastAddress() throws {
    let (server, address) = try listener()
    let (failure, socket) = try run([try deserted(), try deserted(), address])
    #expect(failure == nil)
    #expect(try socket.socket.peerAddress().port == address.port)
    socket.socket.close()
    server.close()
  }

  @Test func addressOfAnotherFamily() throws {
    let (server, address) = try listener()
    let (failure, socket) = try run([SocketAddress(numeric: "::1", port: 1)!, address])
    #expect(failure == nil)
    #expect(socket.family == AF_INET)
    socket.socket.close()
    server.close()
  }

  @Test func noAddressAnswers() throws {
    let (failure, socket) = try run([try deserted(), try deserted()])
    #expect(failure == .system(.connectionRefused))
    socket.socket.close()
  }

  @Test func closedWhileUnderWay() throws {
    let (server, address) = try listener()
    var socket = SocketObject(
      descriptor: try Socket.open(family: AF_INET, stream: true).descriptor, family: AF_INET)
    var attempt = ConnectAttempt([address, address])
    let never: (Int32) -> SocketFailure? = { _ in
      Issue.record("a closed socket is opened again")
      return .closed
    }
    // On some systems a connect to loopback is done at once.
    if case .wait = attempt.proceed(&socket, replace: never) {
      socket.socket.close()
      socket.descriptor = -1
      guard case .failed(.closed) = attempt.proceed(&socket, replace: never) else {
        Issue.record("not closed")
        return
      }
    } else {
      socket.socket.close()
    }
    server.close()
  }
}
