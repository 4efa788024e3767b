import DeviceRPC
import MilongaNIOTestSupport
import MilongaRPC
import NIOConcurrencyHelpers
import Testing

struct Reading: Codable, Equatable, Sendable {
  var sensor: String
  var value: Double?
  var samples: [Int]
}

/// Swift calls Swift, in both directions.
@Suite struct PeerCallTests {
  @Test func functions() async throws {
    try await withPeers {
      $0.register("add") { (a: Int, b: Int) in a + b }
      $0.register("math.sqrt") { (x: Double) in x.squareRoot() }
      $0.register("greet") { (name: String) in "Hello, \(name)" }
      $0.register("divide") { (a: Int, b: Int) in (a / b, a % b) }
      $0.register("nothing") {}
      $0.register("doubled") { (reading: Reading) -> Reading in
        var reading = reading
        reading.value = (reading.value ?? 1) * 2
        return reading
      }
      $0.register("slowly") { (text: String) async throws -> String in
        await Task.yield()
        return text + "..."
      }
    } _: { (peer, _) async throws in
      let sum: Int = try await peer.add(40, 2)
      #expect(sum == 42)
      let root: Double = try await peer.math.sqrt(4)
      #expect(root == 2)
      #expect(try await peer.greet("Horst") == "Hello, Horst")
      let (quotient, rest): (Int, Int) = try await peer.divide(17, 5)
      #expect(quotient == 3 && rest == 2)
      let nothing = try await peer.nothing()
      #expect(nothing == .null)
      let reading: Reading = try await peer.doubled(
        Reading(sensor: "t", value: nil, samples: [1, 2]))
      #expect(reading == Reading(sensor: "t", value: 2, samples: [1, 2]))
      let slow: String = try await peer.slowly("so")
      #expect(slow == "so...")
      #expect(try await peer.divide.call([17, 5]) == [3, 2])
      let none: Int? = try await peer.nothing()
      #expect(none == nil)
      #expect(try await peer[path: "..math..sqrt"](9.0) == 3.0)
    }
  }

  @Test func variables() async throws {
    try await withPeers {
      $0.variable("device.name", initial: "pump 3")
      $0.variable("samples", get: { [1, 2, 3] })
      $0.register("greet") { (name: String) in "Hello, \(name)" }
    } _: { (peer, _) async throws in
      let name: String = try await peer.eval("device.name")
      #expect(name == "pump 3")
      let samples: [Int] = try await peer.eval("samples")
      #expect(samples == [1, 2, 3])
      #expect(try await peer.eval("nothing.there") == .null)
      await #expect(throws: RPCError.unserializable(path: "eval 'greet'")) {
        try await peer.eval("greet")
      }
      await #expect(throws: RPCError.notAFunction(path: "samples")) { try await peer.samples() }
    }
  }

  @Test func bothSidesCall() async throws {
    let heard = NIOLockedValueBox<[String]>([])
    let visited = Gate()
    try await withPeers {
      $0.register("fib") { (n: Int) async throws -> Int in try await fib(n) }
    } and: {
      $0.register("fib") { (n: Int) async throws -> Int in try await fib(n) }
      $0.register("hear") { (text: String) in heard.withLockedValue { $0.append(text) } }
    } whenConnected: { peer in
      try await peer.hear("welcome")
      visited.open()
    } _: { (peer, server) async throws in
      // Each call is made while the one before is served.
      let number: Int = try await peer.fib(12)
      #expect(number == 144)
      await visited.pass()
      #expect(heard.withLockedValue { $0 } == ["welcome"])
      let back = try await server.accepted(peer)
      let other: Int = try await back.fib(7)
      #expect(other == 13)
      #expect(RPCPeer.current == nil)
    }
  }

  @Test func manyAtOnce() async throws {
    try await withPeers {
      $0.register("twice") { (n: Int) in 2 * n }
      $0.register("later") { (n: Int) async -> Int in
        await Task.yield()
        return 3 * n
      }
    } _: { (peer, _) async throws in
      // Far more than there are sequence numbers.
      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for n in 1...3000 {
          group.addTask { n % 2 == 0 ? try await peer.twice(n) : try await peer.later(n) }
        }
        return try await group.reduce(0, +)
      }
      #expect(sum == (1...3000).reduce(0) { $0 + ($1 % 2 == 0 ? 2 * $1 : 3 * $1) })
    }
  }

  @Test func the257thWaits() async throws {
    let gate = Gate()
    let running = Tally()
    try await withPeers {
      $0.register("wait") { (n: Int) async -> Int in
        running.add()
        await gate.pass()
        return n
      }
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      let calls = (0..<256).map { n in Task { () async throws -> Int in try await peer.wait(n) } }
      await running.reach(256)
      // There is no number for it: cancelled, it was never sent; late, it gives up; it waits for
      // its turn.
      let cancelled = Task { try await peer.wait(1000) }
      await #expect(throws: RPCError.self) {
        try await peer[timeout: .milliseconds(20)].wait(1001)
      }
      cancelled.cancel()
      await #expect(throws: CancellationError.self) { try await cancelled.value }
      let last = Task { () async throws -> Int in try await peer.fine() }
      #expect(running.count == 256)
      gate.open()
      for (n, call) in calls.enumerated() { #expect(try await call.value == n) }
      #expect(try await last.value == 1)
      #expect(running.count == 256)
    }
  }

  /// What is encoded, an argument, a result or a variable, may use the connection on which it is
  /// sent.
  @Test func encodingUsesTheConnection() async throws {
    let box = NIOLockedValueBox<RPCPeer?>(nil)
    try await withPeers {
      $0.register("same") { (n: Int) in n }
      $0.register("now") { Looking(peer: RPCPeer.current!) }
      $0.register("later") { () async -> Looking in Looking(peer: RPCPeer.current!) }
      $0.variable("seven", get: { Looking(peer: box.withLockedValue { $0! }) })
    } _: { (peer, server) async throws in
      let accepted = try await server.accepted(peer)
      box.withLockedValue { $0 = accepted }
      #expect(try await peer.same(Looking(peer: peer)) == 7)
      #expect(try await peer.now() == 7)
      #expect(try await peer.later() == 7)
      #expect(try await peer.eval("seven") == 7)
      box.withLockedValue { $0 = nil }
    }
  }

  @Test func slowCallsHoldNobodyUp() async throws {
    let gate = Gate()
    try await withPeers {
      $0.register("wait") { () async -> String in
        await gate.pass()
        return "late"
      }
      $0.register("open") { gate.open() }
    } _: { (peer, _) async throws in
      let late = Task { try await peer.wait() }
      try await peer.open()
      #expect(try await late.value == "late")
    }
  }
}

/// A 7 that looks at its connection when it is encoded.
private struct Looking: Codable, Sendable {
  let peer: RPCPeer

  init(peer: RPCPeer) { self.peer = peer }
  init(from decoder: any Decoder) throws { throw RPCError.shutDown }

  func encode(to encoder: any Encoder) throws {
    #expect(peer.isOpen)
    var container = encoder.singleValueContainer()
    try container.encode(7)
  }
}

/// Calls its caller for the numbers before.
@Sendable private func fib(_ n: Int) async throws -> Int {
  let peer = try #require(RPCPeer.current)
  if n < 2 { return n }
  let before: Int = try await peer.fib(n - 1)
  let beforeThat: Int = try await peer.fib(n - 2)
  return before + beforeThat
}
