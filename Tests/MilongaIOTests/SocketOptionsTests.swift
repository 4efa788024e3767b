import Glibc
import MilongaIO
import SystemPackage
import Testing

@Suite struct SocketOptionsTests {
  static let switches: [SocketOption] = [
    .reuseAddress, .reusePort, .keepAlive, .broadcast, .dontRoute, .noDelay, .quickAcknowledge,
  ]

  @Test(arguments: switches)
  func `a switch is turned on and off`(_ option: SocketOption) throws {
    let socket = try Socket.open(family: AF_INET, stream: true)
    defer { socket.close() }
    for value in [1, 0, 1] as [Int32] {
      try socket.set(option, to: value)
      #expect(try socket.get(option) == value)
    }
  }

  @Test(arguments: [SocketOption.keepIdle, .keepCount, .keepInterval])
  func `a number is kept`(_ option: SocketOption) throws {
    let socket = try Socket.open(family: AF_INET, stream: true)
    defer { socket.close() }
    for value in [7, 100] as [Int32] {
      try socket.set(option, to: value)
      #expect(try socket.get(option) == value)
    }
    #expect(throws: Errno.invalidArgument) { try socket.set(option, to: 0) }
  }

  @Test(arguments: [SocketOption.receiveBufferSize, .sendBufferSize])
  func `a buffer gets at least the size that was asked for`(_ option: SocketOption) throws {
    let socket = try Socket.open(family: AF_INET, stream: true)
    defer { socket.close() }
    try socket.set(option, to: 30_000)
    #expect(try socket.get(option) >= 30_000)
  }

  @Test func `listening options are accepted`() throws {
    let socket = try Socket.open(family: AF_INET, stream: true)
    defer { socket.close() }
    try socket.set(.deferAccept, to: 1)
    #expect(try socket.get(.deferAccept) >= 1)
    try socket.set(.fastOpen, to: 5)
    #expect(try socket.get(.fastOpen) == 5)
  }

  @Test(.enabled(if: loopbackHosts.contains("::1")))
  func `an IPv6 socket can leave IPv4 alone`() throws {
    let socket = try Socket.open(family: AF_INET6, stream: true)
    defer { socket.close() }
    try socket.set(.v6Only, to: 1)
    #expect(try socket.get(.v6Only) == 1)
  }

  @Test func `an option of another protocol is an error`() throws {
    let socket = try Socket.open(family: AF_UNIX, stream: true)
    defer { socket.close() }
    #expect(throws: Errno.self) { try socket.set(.noDelay, to: 1) }
    #expect(throws: Errno.self) { try socket.get(.noDelay) }
  }

  @Test func `lingering is off until it is turned on`() throws {
    let socket = try Socket.open(family: AF_INET, stream: true)
    defer { socket.close() }
    #expect(try socket.getLinger().on == false)
    try socket.setLinger(on: true, seconds: 12)
    #expect(try socket.getLinger() == (true, 12))
    try socket.setLinger(on: false, seconds: 0)
    #expect(try socket.getLinger().on == false)
  }
}
