import DeviceRPC
import MilongaNIOTestSupport
import MilongaRPC
import NIOConcurrencyHelpers
import Testing

private final class Counter: RPCObject {
  let count: NIOLockedValueBox<Int>
  private let gone: @Sendable () -> Void

  init(_ start: Int, gone: @escaping @Sendable () -> Void = {}) {
    count = NIOLockedValueBox(start)
    self.gone = gone
  }

  deinit { gone() }

  static let methods = RPCMethods<Counter> {
    $0.register("add") { (counter: Counter, amount: Int) -> Int in
      counter.count.withLockedValue {
        $0 += amount
        return $0
      }
    }
    $0.register("later") { (counter: Counter) async -> Int in
      await Task.yield()
      return counter.count.withLockedValue { $0 }
    }
    $0.register("fail") { (_: Counter) throws -> Int in
      throw RPCRemoteError(path: "", value: "no")
    }
    $0.register("copy") { (counter: Counter) in
      RPCShared(Counter(counter.count.withLockedValue { $0 }))
    }
  }
}

/// Objects by reference.
@Suite struct PeerObjectTests {
  @Test func objects() async throws {
    let shared = Counter(100)
    try await withPeers {
      $0.register(object: "make.counter") { (start: Int) in Counter(start) }
      $0.register("shared") { RPCShared(shared) }
      $0.register("several") { (RPCShared(shared), 7) }
      $0.register("sum") { (a: RPCShared<Counter>, b: RPCShared<Counter>?) in
        a.object.count.withLockedValue { $0 } + (b?.object.count.withLockedValue { $0 } ?? 0)
      }
      $0.register("inside") { [RPCShared(shared)] }
    } _: { (peer, _) async throws in
      let counter: RPCReference = try await peer.make.counter(5)
      #expect(try await counter.add(2) == 7)
      let sum: Int = try await counter.later()
      #expect(sum == 7)
      await #expect(throws: RPCRemoteError(path: "fail", value: "no")) { try await counter.fail() }
      do {
        try await counter.nothing()
        Issue.record("there is no such method")
      } catch let error as RPCRemoteError {
        #expect(error.message == "rpc: the object has no method 'nothing'")
      }
      let copy: RPCReference = try await counter.copy()
      #expect(copy != counter)
      #expect(try await copy.add(1) == 8)
      #expect(try await counter.add(0) == 7)

      // The same object is the same reference.
      let first: RPCReference = try await peer.shared()
      let (second, number): (RPCReference, Int) = try await peer.several()
      #expect(first == second && number == 7)
      // Back at home it is itself.
      let both: Int = try await peer.sum(first, counter)
      #expect(both == 107)
      let one: Int = try await peer.sum(first)
      #expect(one == 100)

      // Who does not ask for a reference gets none.
      #expect(try await peer.shared() == .null)
      await #expect(throws: RPCError.self) { let _: Int = try await peer.shared() }
      await #expect(throws: RPCError.self) {
        let _: RPCReference = try await peer.sum(first)
      }
      await #expect(throws: RPCRemoteError.self) { try await peer.sum(1) }
      await #expect(throws: RPCError.unserializable(path: "inside")) { try await peer.inside() }
      await #expect(throws: RPCError.self) { try await peer.sum([first]) }
    }
  }

  @Test func objectsAsArguments() async throws {
    let counter = Counter(1)
    try await withPeers {
      $0.register("twice") { (counter: RPCReference) async throws -> Int in
        try await counter.add(1)
        return try await counter.add(1)
      }
      $0.register("same") { (counter: RPCReference) in counter }
    } and: {
      $0.register("unused") {}
    } _: { (peer, _) async throws in
      let number: Int = try await peer.twice(RPCShared(counter))
      #expect(number == 3)
      #expect(counter.count.withLockedValue { $0 } == 3)
      let back: RPCShared<Counter> = try await peer.same(RPCShared(counter))
      #expect(back.object === counter)
    }
  }

  @Test func theyEndWithTheConnection() async throws {
    let gone = Gate()
    try await withPeers {
      $0.register(object: "counter") { (start: Int) in Counter(start) { gone.open() } }
    } _: { (peer, _) async throws in
      let counter: RPCReference = try await peer.counter(1)
      peer.close()
      await gone.pass()
      await #expect(throws: RPCError.shutDown) { try await counter.add(1) }
    }
  }

  @Test func limitsAndOtherConnections() async throws {
    var configuration = RPCServer.Configuration.forTests
    configuration.limits.references = 3
    try await withPeers(configuration) {
      $0.register(object: "counter") { (start: Int) in Counter(start) }
      $0.register("add") { (a: RPCShared<Counter>, b: Int) in b }
    } _: { (peer, server) async throws in
      var kept: [RPCReference] = []
      for start in 1...3 { kept.append(try await peer.counter(start)) }
      await #expect(throws: RPCError.unserializable(path: "counter")) {
        try await peer.counter(4)
      }
      #expect(try await kept[2].add(1) == 4)

      let other = try await RPCPeer.connect(
        host: "127.0.0.1", port: peer.address!.port!, configuration: .forTests)
      await #expect(
        throws: RPCError.unsendable(
          path: "add",
          reason: "argument #1: an object of another connection cannot be sent on this one")
      ) { try await other.add(kept[0], 1) }
      #expect(try await other.eval("nothing") == .null)
      #expect(server.peers.count == 2)
      other.close()
    }
  }
}
