import LuaSocket
import Testing

@testable import Copas

/// What Copas keeps inside of a socket object.
@Suite struct SocketStateTests {
  @Test func aNewObjectWaitsForEver() {
    let socket = SocketObject()
    #expect(socket.copasTimeouts.connect == .infinity)
    #expect(socket.copasTimeouts.send == .infinity)
    #expect(socket.copasTimeouts.receive == .infinity)
    #expect(socket.origin.server == 0)
    #expect(socket.origin.number == 0)
    #expect(!socket.isWatched)
  }

  @Test(arguments: [0, 0.001, 1, 60, 1e9, .infinity, .leastNonzeroMagnitude, -1])
  func timeoutsComeBackAsTheyWere(_ seconds: Double) {
    var socket = SocketObject()
    socket.copasTimeouts.connect = seconds
    #expect(socket.copasTimeouts.connect == seconds)
    #expect(socket.copasTimeouts.send == .infinity)
    socket.copasTimeouts.receive = seconds
    socket.copasTimeouts.send = seconds / 2
    #expect(socket.copasTimeouts.connect == seconds)
    #expect(socket.copasTimeouts.send == seconds / 2)
    #expect(socket.copasTimeouts.receive == seconds)
  }

  @Test func theOriginKeepsBothNumbers() {
    var socket = SocketObject()
    socket.origin = ConnectionOrigin(server: .max, number: 7)
    #expect(socket.origin.server == .max)
    #expect(socket.origin.number == 7)
    socket.origin = ConnectionOrigin(server: 1, number: .max)
    #expect(socket.origin.server == 1)
    #expect(socket.origin.number == .max)
  }

  @Test func nothingDisturbsTheOthers() {
    var socket = SocketObject()
    socket.isWatched = true
    socket.copasTimeouts = CopasTimeouts(all: 2)
    socket.origin = ConnectionOrigin(server: 3, number: 4)
    #expect(socket.isWatched)
    #expect(socket.copasTimeouts.send == 2)
    #expect(socket.origin.number == 4)
    socket.isWatched = false
    #expect(!socket.isWatched)
    #expect(socket.copasTimeouts.receive == 2)
    #expect(socket.origin.server == 3)
  }

  @Test func negativeSecondsAreNoLimit() {
    let timeouts = CopasTimeouts(all: -1)
    #expect(timeouts.connect == .infinity)
    #expect(timeouts.send == .infinity)
    #expect(timeouts.receive == .infinity)
  }
}
