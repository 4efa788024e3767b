import MilongaRPC
import NIOConcurrencyHelpers
import Tango
import Testing

/// Counts, and tells when it goes.
private final class Counter: TangoObject {
  private let count: NIOLockedValueBox<Int>
  private let gone: @Sendable () -> Void

  init(_ start: Int, gone: @escaping @Sendable () -> Void) {
    count = NIOLockedValueBox(start)
    self.gone = gone
  }

  deinit { gone() }

  static let methods = TangoMethods<Counter> {
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
      throw TangoRemoteError(path: "", value: "no")
    }
  }
}

@Suite struct TangoReferenceTests {
  @Test func objects() async throws {
    let gone = AsyncStream<Void>.makeStream()
    try await withTango {
      $0.register(object: "make.counter") { (start: Int) in
        Counter(start) { gone.continuation.yield() }
      }
      $0.register("number") { 1 }
    } _: { (con) async throws in
      do {
        let counter = try await con.make.counter.reference(5)
        #expect(try await counter.add(2) == 7)
        let sum: Int = try await counter.later()
        #expect(sum == 7)
        await #expect(throws: TangoRemoteError(path: "tango.ref_call", value: "no")) {
          try await counter.fail()
        }
        do {
          try await counter.nothing()
          Issue.record("there is no such method")
        } catch let error as TangoRemoteError {
          #expect(error.message == "tango.ref: the object has no method 'nothing'")
        }
        let other = try await con.make.counter.reference(100)
        #expect(other.id != counter.id)
        #expect(try await other.add(1) == 101)
        #expect(try await counter.add(1) == 8)
      }
      // Both are released when the last reference goes.
      var iterator = gone.stream.makeAsyncIterator()
      await iterator.next()
      await iterator.next()
      await #expect(throws: TangoRemoteError.self) { try await con.make.counter(5) }
      await #expect(throws: TangoRemoteError.self) { try await con.number.reference() }
    }
  }

  @Test func theyEndWithTheConnection() async throws {
    let gone = AsyncStream<Void>.makeStream()
    try await withTango {
      $0.register(object: "counter") { (start: Int) in
        Counter(start) { gone.continuation.yield() }
      }
    } _: { (con) async throws in
      let counter = try await con.counter.reference(1)
      con.close()
      var iterator = gone.stream.makeAsyncIterator()
      await iterator.next()
      await #expect(throws: TangoError.shutDown) { try await counter.add(1) }
    }
  }

  @Test func tooMany() async throws {
    var configuration = TangoServer.Configuration.forTests
    configuration.limits.references = 3
    try await withTango(configuration) {
      $0.register(object: "counter") { (start: Int) in Counter(start) {} }
    } _: { (con) async throws in
      var kept: [TangoReference] = []
      for start in 1...3 { kept.append(try await con.counter.reference(start)) }
      await #expect(throws: TangoRemoteError.self) { try await con.counter.reference(4) }
      kept.removeLast()
      // Releasing goes the same way as the next call, and before it.
      kept.append(try await con.counter.reference(5))
      #expect(try await kept[2].add(0) == 5)
    }
  }

  @Test func tenThousandTakenAndAbandoned() async throws {
    let alive = NIOLockedValueBox(0)
    try await withTango {
      $0.register(object: "counter") { (start: Int) -> Counter in
        alive.withLockedValue { $0 += 1 }
        return Counter(start) { alive.withLockedValue { $0 -= 1 } }
      }
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      for start in 1...10_000 { _ = try await con.counter.reference(start) }
      #expect(try await con.fine() == 1)
      #expect(alive.withLockedValue { $0 } == 0)
    }
  }
}
