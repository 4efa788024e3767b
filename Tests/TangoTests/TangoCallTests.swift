import Dispatch
import MilongaNIOTestSupport
import MilongaRPC
import NIOConcurrencyHelpers
import Tango
import Testing

extension TangoServer.Configuration {
  /// Any port. Other tests may keep all of Swift's threads for a while: no handshake is too slow.
  static var forTests: Self {
    var configuration = Self(port: 0)
    configuration.handshakeTimeout = .seconds(300)
    return configuration
  }
}

extension TangoClient.Configuration {
  /// Without a timeout, for the same reason.
  static var forTests: Self {
    var configuration = Self()
    configuration.timeout = nil
    return configuration
  }
}

/// A server with these functions, for the time of the test, and a client of it.
func withTango(
  _ configuration: TangoServer.Configuration = .forTests,
  client clientConfiguration: TangoClient.Configuration = .forTests,
  _ register: (inout TangoNamespace) -> Void,
  _ body: (TangoClient) async throws -> Void
) async throws {
  var namespace = TangoNamespace()
  register(&namespace)
  let server = TangoServer(namespace, configuration: configuration)
  let port = try await server.start()
  let outcome: Result<Void, any Error>
  do {
    let client = TangoClient(host: "127.0.0.1", port: port, configuration: clientConfiguration)
    outcome = .success(try await body(client))
  } catch {
    outcome = .failure(error)
  }
  await server.shutDown()
  try outcome.get()
}

struct Person: Codable, Equatable {
  var name: String
  var age: Int?
  var friends: [String]
}

/// Swift calls Swift.
@Suite struct TangoCallTests {
  @Test func functions() async throws {
    try await withTango {
      $0.register("add") { (a: Int, b: Int) in a + b }
      $0.register("math.sqrt") { (x: Double) in x.squareRoot() }
      $0.register("greet") { (name: String) in "Hello, \(name)" }
      $0.register("divide") { (a: Int, b: Int) in (a / b, a % b) }
      $0.register("nothing") {}
      $0.register("older") { (person: Person) -> Person in
        var person = person
        person.age = (person.age ?? 0) + 1
        return person
      }
      $0.register("slowly") { (text: String) async throws -> String in
        await Task.yield()
        return text + "..."
      }
    } _: { (con) async throws in
      let sum: Int = try await con.add(40, 2)
      #expect(sum == 42)
      let root: Double = try await con.math.sqrt(4)
      #expect(root == 2)
      #expect(try await con.greet("Horst") == "Hello, Horst")
      let (quotient, rest): (Int, Int) = try await con.divide(17, 5)
      #expect(quotient == 3 && rest == 2)
      let nothing = try await con.nothing()
      #expect(nothing == .null)
      let person: Person = try await con.older(Person(name: "Ann", age: nil, friends: ["Bob"]))
      #expect(person == Person(name: "Ann", age: 1, friends: ["Bob"]))
      let slow: String = try await con.slowly("so")
      #expect(slow == "so...")
      let all = try await con.divide.call([17, 5])
      #expect(all == [3, 2])
      let none: Int? = try await con.nothing()
      #expect(none == nil)
    }
  }

  @Test func variables() async throws {
    let box = NIOLockedValueBox<TangoVariable<[String]>?>(nil)
    try await withTango { namespace in
      let friends = namespace.variable("friends", initial: ["Horst"])
      box.withLockedValue { $0 = friends }
      namespace.variable("now", get: { 12.5 })
    } _: { (con) async throws in
      var friends: [String] = try await con.friends()
      #expect(friends == ["Horst"])
      try await con.friends(friends + ["Ina"])
      friends = try await con.friends()
      #expect(friends == ["Horst", "Ina"])
      #expect(box.withLockedValue { $0!.value } == ["Horst", "Ina"])
      let now: Double = try await con.now()
      #expect(now == 12.5)
      await #expect(throws: TangoRemoteError.self) { try await con.now(1.0) }
    }
  }

  @Test func manyAtOnce() async throws {
    try await withTango {
      $0.register("twice") { (n: Int) in 2 * n }
      $0.register("later") { (n: Int) async -> Int in
        await Task.yield()
        return 3 * n
      }
    } _: { (con) async throws in
      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for n in 1...2000 {
          group.addTask { n % 2 == 0 ? try await con.twice(n) : try await con.later(n) }
        }
        return try await group.reduce(0, +)
      }
      #expect(sum == (1...2000).reduce(0) { $0 + ($1 % 2 == 0 ? 2 * $1 : 3 * $1) })
    }
  }

  /// What a program encodes may call, and let go of objects on the server, over the connection that
  /// it is sent on.
  @Test func encodingCalls() async throws {
    let gone = Gate()
    try await withTango {
      $0.register("fine") { 1 }
      $0.register("same") { (n: Int) in n }
      $0.register(object: "thing") { Thing { gone.open() } }
    } _: { (con) async throws in
      let calling = Encoding {
        // Where no other test can keep the thread.
        let called = DispatchSemaphore(value: 0)
        Task(executorPreference: con.taskExecutor) {
          _ = try? await con.fine()
          called.signal()
        }
        #expect(called.wait(timeout: .now() + 60) == .success)
      }
      #expect(try await con.same(calling) == 7)

      let reference = NIOLockedValueBox<TangoReference?>(try await con.thing.reference())
      let releasing = Encoding { reference.withLockedValue { $0 = nil } }
      #expect(try await con.same(releasing) == 7)
      await gone.pass()
    }
  }
}

/// A 7 that does something when it is encoded.
private struct Encoding: Encodable, Sendable {
  let action: @Sendable () -> Void

  func encode(to encoder: any Encoder) throws {
    action()
    var container = encoder.singleValueContainer()
    try container.encode(7)
  }
}

private final class Thing: TangoObject {
  static let methods = TangoMethods<Thing> { _ in }
  private let gone: @Sendable () -> Void
  init(gone: @escaping @Sendable () -> Void) { self.gone = gone }
  deinit { gone() }
}
