import Glibc
import MilongaIO
import SystemPackage
import Testing

@Suite struct DatagramTests {
  /// A UDP socket bound to loopback.
  private func with<Result>(
    _ host: String, _ body: (Socket, SocketAddress) throws -> Result
  ) throws -> Result {
    let address = try #require(SocketAddress(numeric: host, port: 0))
    let socket = try Socket.open(family: address.family, stream: false)
    defer { socket.close() }
    try socket.bind(address)
    return try body(socket, try socket.localAddress())
  }

  private func receive(
    _ socket: Socket, room: Int = 65_536
  ) -> (transfer: Transfer, bytes: [UInt8], sender: SocketAddress) {
    var buffer = [UInt8](repeating: 0, count: room)
    var sender = SocketAddress.none
    let transfer = buffer.withUnsafeMutableBytes { socket.receive(into: $0, from: &sender) }
    if case .moved(let count) = transfer { buffer.removeLast(room - count) }
    return (transfer, buffer, sender)
  }

  @Test(arguments: loopbackHosts, [0, 1, 1000, 65_000])
  func `a datagram arrives whole, with its sender's address`(_ host: String, _ size: Int) throws {
    try with(host) { receiver, address in
      try with(host) { sender, senderAddress in
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        #expect(bytes.withUnsafeBytes { sender.send($0, to: address) } == .moved(size))
        #expect(receiver.becomes(POLLIN))
        #expect(receiver.nextDatagramLength() == .moved(size))
        #expect(receiver.nextDatagramLength() == .moved(size), "it stays in the queue")
        let received = receive(receiver)
        #expect(received.transfer == .moved(size))
        #expect(received.bytes == bytes)
        #expect(received.sender.description == senderAddress.description)
        #expect(receive(receiver).transfer == .wouldBlock)
        #expect(receiver.nextDatagramLength() == .wouldBlock)
      }
    }
  }

  @Test func `what has no room is lost`() throws {
    try with("127.0.0.1") { receiver, address in
      for text in ["first", "second"] {
        #expect(
          Array(text.utf8).withUnsafeBytes { receiver.send($0, to: address) }
            == .moved(text.utf8.count))
      }
      #expect(receive(receiver, room: 2).bytes == Array("fi".utf8))
      #expect(receive(receiver, room: 0).transfer == .moved(0))
      #expect(receive(receiver).transfer == .wouldBlock)
    }
  }

  @Test func `a datagram that no network carries is an error`() throws {
    try with("127.0.0.1") { socket, address in
      let bytes = [UInt8](repeating: 0, count: 65_508)
      #expect(bytes.withUnsafeBytes { socket.send($0, to: address) } == .failed(.messageTooLong))
    }
  }

  @Test func `a Unix sender without a name has an empty path`() throws {
    let name = Array("\0milonga datagram \(getpid())".utf8)
    let address = try #require(name.withUnsafeBytes { SocketAddress(unixPath: $0) })
    let receiver = try Socket.open(family: AF_UNIX, stream: false)
    let sender = try Socket.open(family: AF_UNIX, stream: false)
    defer {
      receiver.close()
      sender.close()
    }
    try receiver.bind(address)
    #expect([1, 2, 3].withUnsafeBytes { sender.send($0, to: address) } == .moved(24))
    let received = receive(receiver)
    #expect(received.bytes.count == 24)
    #expect(received.sender.withUnixPath { $0.isEmpty })
  }

  @Test func `multicast memberships are entered and left once`() throws {
    try with("127.0.0.1") { socket, _ in
      let group = in_addr(s_addr: UInt32(0xEFFF_0123).bigEndian)
      let loopback = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
      try socket.set(.add, group: group, interface: loopback)
      #expect(throws: Errno.addressInUse) {
        try socket.set(.add, group: group, interface: loopback)
      }
      try socket.set(.drop, group: group, interface: loopback)
      #expect(throws: Errno.addressNotAvailable) {
        try socket.set(.drop, group: group, interface: loopback)
      }
      try socket.setMulticastInterface(loopback)
      #expect(try socket.multicastInterface().s_addr == loopback.s_addr)
    }
  }
}
