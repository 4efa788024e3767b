import Glibc
import MilongaIO
import SystemPackage
import Testing

@Suite(.timeLimit(.minutes(1)))
struct SocketTests {
  // MARK: Opening

  @Test func `a new socket does not block and is not inherited`() throws {
    for stream in [true, false] {
      let socket = try Socket.open(family: AF_INET, stream: stream)
      defer { socket.close() }
      #expect(fcntl(socket.descriptor, F_GETFL) & O_NONBLOCK != 0)
      #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }
  }

  @Test func `an unknown family is an error`() {
    #expect(throws: Errno.addressFamilyNotSupported) {
      try Socket.open(family: 12345, stream: true)
    }
  }

  @Test func `a closed socket is an error in every operation`() throws {
    // A number that no other test is given meanwhile.
    let closed = Socket(descriptor: Int32.max)
    let address = try #require(SocketAddress(numeric: "127.0.0.1", port: 0))
    #expect(closed.send([1]) == .failed(.badFileDescriptor))
    #expect(closed.drain() == Received(failure: .badFileDescriptor))
    #expect(closed.connect(address) == .failed(.badFileDescriptor))
    #expect(closed.pendingError() == .badFileDescriptor)
    #expect(throws: Errno.badFileDescriptor) { try closed.bind(address) }
    #expect(throws: Errno.badFileDescriptor) { try closed.listen(backlog: 1) }
    #expect(throws: Errno.badFileDescriptor) { try closed.accept() }
    #expect(throws: Errno.badFileDescriptor) { try closed.shutdown(.both) }
    #expect(throws: Errno.badFileDescriptor) { try closed.localAddress() }
    #expect(throws: Errno.badFileDescriptor) { try closed.peerAddress() }
    #expect(throws: Errno.badFileDescriptor) { try closed.set(.keepAlive, to: 1) }
    #expect(throws: Errno.badFileDescriptor) { try closed.get(.keepAlive) }
    #expect(throws: Errno.badFileDescriptor) { try closed.getLinger() }
  }

  // MARK: Listening and connecting

  @Test(arguments: loopbackHosts)
  func `port 0 becomes a port of the system's choice`(_ host: String) throws {
    try withListener(host) { listener in
      let address = try listener.localAddress()
      #expect(address.port != 0)
      #expect(address.numericHost == host)
    }
  }

  @Test(arguments: loopbackHosts)
  func `two sockets cannot listen on one port`(_ host: String) throws {
    try withListener(host) { listener in
      let address = try listener.localAddress()
      let second = try Socket.open(family: address.family, stream: true)
      defer { second.close() }
      #expect(throws: Errno.addressInUse) { try second.bind(address) }
    }
  }

  @Test(arguments: loopbackHosts)
  func `without a connection accept says so at once`(_ host: String) throws {
    try withListener(host) { listener in
      let accepted = try listener.accept()
      #expect(accepted == nil)
    }
  }

  @Test(arguments: loopbackHosts)
  func `both ends of a connection know both addresses`(_ host: String) throws {
    try Peers.with(.tcp(host)) { peers in
      let near = try peers.near.localAddress().description
      let far = try peers.far.localAddress().description
      #expect(near != far)
      #expect(try peers.far.peerAddress().description == near)
      #expect(try peers.near.peerAddress().description == far)
    }
  }

  @Test func `an accepted connection does not block and is not inherited`() throws {
    try Peers.with(.tcp("127.0.0.1")) { peers in
      #expect(fcntl(peers.far.descriptor, F_GETFL) & O_NONBLOCK != 0)
      #expect(fcntl(peers.far.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }
  }

  @Test(arguments: loopbackHosts)
  func `a refused connect is told by the pending error, once`(_ host: String) throws {
    try withBound(host) { bound in
      let address = try bound.localAddress()
      let client = try Socket.open(family: address.family, stream: true)
      defer { client.close() }
      #expect(client.connect(address) == .wouldBlock)
      #expect(client.becomes(POLLOUT))
      #expect(client.pendingError() == .connectionRefused)
      #expect(client.pendingError() == nil)
      #expect(throws: Errno.self) { try client.peerAddress() }
    }
  }

  @Test func `connecting to an address of another family is an error`() throws {
    let client = try Socket.open(family: AF_INET, stream: true)
    defer { client.close() }
    let address = try #require(SocketAddress(numeric: "::1", port: 1))
    #expect(client.connect(address) == .failed(.addressFamilyNotSupported))
  }

  @Test func `a full Unix server is an error and not a connect under way`() throws {
    let listener = try Socket.open(family: AF_UNIX, stream: true)
    defer { listener.close() }
    // Bound to no path, it gets a name that is no file.
    var unnamed = sockaddr()
    unnamed.sa_family = sa_family_t(AF_UNIX)
    try listener.bind(SocketAddress(&unnamed, length: socklen_t(MemoryLayout<sa_family_t>.size)))
    try listener.listen(backlog: 0)
    let address = try listener.localAddress()
    #expect(address.port == nil)
    var clients: [Socket] = []
    defer { for client in clients { client.close() } }
    var last = Transfer.moved(0)
    while last == .moved(0), clients.count < 10 {
      let client = try Socket.open(family: AF_UNIX, stream: true)
      clients.append(client)
      last = client.connect(address)
    }
    #expect(last == .failed(.resourceTemporarilyUnavailable))
    #expect(clients.count > 1)
  }

  // MARK: Bytes

  @Test(arguments: [Peers.Kind.unix] + loopbackHosts.map(Peers.Kind.tcp))
  func `bytes arrive in both directions`(_ kind: Peers.Kind) throws {
    try Peers.with(kind) { peers in
      #expect(peers.near.drain() == Received())
      #expect(peers.near.send([1, 2, 3]) == .moved(3))
      #expect(peers.far.receive(atLeast: 3) == Received(bytes: [1, 2, 3]))
      #expect(peers.far.send([0, 255]) == .moved(2))
      #expect(peers.near.receive(atLeast: 2) == Received(bytes: [0, 255]))
    }
  }

  @Test(arguments: [Peers.Kind.unix] + loopbackHosts.map(Peers.Kind.tcp))
  func `what does not fit would block, and nothing is lost`(_ kind: Peers.Kind) throws {
    try Peers.with(kind) { peers in
      let sent = peers.near.fill()
      #expect(peers.near.send([1]) == .wouldBlock)
      #expect(peers.far.receive(atLeast: sent).bytes.count == sent)
      #expect(peers.near.becomes(POLLOUT))
      #expect(peers.near.send([1]) == .moved(1))
      #expect(peers.far.receive(atLeast: 1) == Received(bytes: [1]))
    }
  }

  @Test func `sending nothing moves nothing`() throws {
    try Peers.with { peers in
      #expect(peers.near.send([]) == .moved(0))
      #expect(peers.far.drain() == Received())
    }
  }

  @Test func `signals do not disturb a transfer that blocks`() throws {
    try Peers.with { peers in
      peers.near.setNonBlocking(false)
      let far = peers.far
      withInterruptions {
        let elapsed = seconds {
          withThread {
            WallClock.sleep(0.02)
            _ = far.send([5])
          } _: {
            var byte: UInt8 = 0
            #expect(withUnsafeMutableBytes(of: &byte) { peers.near.receive(into: $0) } == .moved(1))
            #expect(byte == 5)
          }
        }
        #expect(elapsed >= 0.02)
      }
      peers.near.setNonBlocking(true)
      #expect(peers.near.drain() == Received())
    }
  }

  // MARK: Ending

  @Test(arguments: [Peers.Kind.unix] + loopbackHosts.map(Peers.Kind.tcp))
  func `shutting down the sending direction leaves the other`(_ kind: Peers.Kind) throws {
    try Peers.with(kind) { peers in
      _ = peers.near.send([1])
      try peers.near.shutdown(.send)
      #expect(peers.near.send([2]) == .failed(.brokenPipe))
      #expect(peers.far.receive(atLeast: 2) == Received(bytes: [1], ended: true))
      _ = peers.far.send([3])
      #expect(peers.near.receive(atLeast: 1) == Received(bytes: [3]))
    }
  }

  @Test(arguments: [Peers.Kind.unix] + loopbackHosts.map(Peers.Kind.tcp))
  func `shutting down the receiving direction leaves the other`(_ kind: Peers.Kind) throws {
    try Peers.with(kind) { peers in
      try peers.near.shutdown(.receive)
      #expect(peers.near.drain() == Received(ended: true))
      #expect(peers.near.send([2]) == .moved(1))
      #expect(peers.far.receive(atLeast: 1) == Received(bytes: [2]))
    }
  }

  @Test(arguments: [Peers.Kind.unix] + loopbackHosts.map(Peers.Kind.tcp))
  func `shutting down both directions ends both`(_ kind: Peers.Kind) throws {
    try Peers.with(kind) { peers in
      try peers.near.shutdown(.both)
      #expect(peers.near.drain() == Received(ended: true))
      #expect(peers.near.send([2]) == .failed(.brokenPipe))
      #expect(peers.far.receive(atLeast: 1) == Received(ended: true))
    }
  }

  @Test func `shutting down what is not connected is an error`() throws {
    let socket = try Socket.open(family: AF_INET, stream: true)
    defer { socket.close() }
    #expect(throws: Errno.socketNotConnected) { try socket.shutdown(.both) }
  }

  @Test(arguments: loopbackHosts)
  func `a reset is an error for whoever reads`(_ host: String) throws {
    try Peers.with(.tcp(host)) { peers in
      try peers.resetFar()
      #expect(peers.near.receive(atLeast: 1) == Received(failure: .connectionReset))
    }
  }

  @Test func `sending to a closed peer is an error, whatever SIGPIPE does`() async {
    await #expect(processExitsWith: .success) {
      signal(SIGPIPE, SIG_DFL)
      try Peers.with { peers in
        peers.closeFar()
        #expect(peers.near.send([1]) == .failed(.brokenPipe))
      }
    }
  }

  // MARK: Acknowledging

  @Test(arguments: loopbackHosts)
  func `messages in two writes do not wait for a delayed acknowledgement`(
    _ host: String
  ) throws {
    // As the original tango sends its calls: each would take some 40 ms.
    let rounds = 60
    try Peers.with(.tcp(host)) { peers in
      // Others may take the processor in some of them.
      var times = (0..<rounds).map { _ in
        seconds {
          _ = peers.near.send([1])
          _ = peers.near.send([2])
          var bytes = 0
          while bytes < 2, peers.far.becomes(POLLIN) {
            bytes += peers.far.drain().bytes.count
            peers.far.acknowledgeAtOnce()
          }
          #expect(bytes == 2)
          _ = peers.far.send([3])
          #expect(peers.near.receive(atLeast: 1) == Received(bytes: [3]))
        }
      }
      times.sort()
      #expect(times[rounds / 2] < 0.04 / 2)
    }
  }

  @Test func `acknowledging is harmless where there is nothing to acknowledge`() throws {
    try Peers.with(.unix) { peers in
      peers.near.acknowledgeAtOnce()
      #expect(peers.near.send([1]) == .moved(1))
    }
  }
}
