import MilongaNIOTestSupport
import MilongaRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Tango
import Testing

/// An error says what went wrong, and harms no other call.
@Suite struct TangoErrorTests {
  @Test func whatTheFunctionThrows() async throws {
    struct Broken: Error, CustomStringConvertible { let description = "it is broken" }
    try await withTango {
      $0.register("text") { () throws -> Int in throw Broken() }
      $0.register("value") { () async throws -> Int in
        throw TangoRemoteError(path: "", value: ["code": 7])
      }
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      await #expect(throws: TangoRemoteError(path: "text", value: "it is broken")) {
        try await con.text()
      }
      await #expect(throws: TangoRemoteError(path: "value", value: ["code": 7])) {
        try await con.value()
      }
      #expect(try await con.fine() == 1)
    }
  }

  @Test(
    arguments: [
      (["x", 2], "add: argument #1: expected Int, got string"),
      ([1], "add: expected 2 arguments (Int, Int), got 1"),
      ([1, 2, 3], "add: expected 2 arguments (Int, Int), got 3"),
      ([1, 2.5], "add: argument #2: expected Int, got 2.5 is no Int"),
      ([1, [2]], "add: argument #2: expected Int, got table"),
    ] as [([TangoValue], String)])
  func arguments(_ arguments: [TangoValue], _ message: String) async throws {
    try await withTango {
      $0.register("add") { (a: Int, b: Int) in a + b }
    } _: { (con) async throws in
      await #expect(throws: TangoRemoteError(path: "add", value: .string(ByteString(message)))) {
        try await con.add.call(arguments)
      }
    }
  }

  @Test func argumentsThatMayBeMissing() async throws {
    try await withTango {
      $0.register("join") { (a: String, b: String?, c: Int?) in "\(a) \(b ?? "-") \(c ?? 0)" }
    } _: { (con) async throws in
      #expect(try await con.join("x") == "x - 0")
      #expect(try await con.join("x", "y") == "x y 0")
      #expect(try await con.join("x", String?.none, 3) == "x - 3")
    }
  }

  @Test func insideOfTables() async throws {
    try await withTango {
      $0.register("older") { (person: Person) in person }
    } _: { (con) async throws in
      do {
        _ = try await con.older.call([["name": "Ann", "friends": [1]]])
        Issue.record("not refused")
      } catch let error as TangoRemoteError {
        #expect(error.message == "older: argument #1: expected Person, got in 'friends' number")
      }
    }
  }

  @Test func resultsOfAnotherType() async throws {
    try await withTango {
      $0.register("name") { "Horst" }
    } _: { (con) async throws in
      await #expect(
        throws: TangoError.unexpectedResult(
          path: "name", index: 1, error: TangoTypeError(expected: "Int", found: "string"))
      ) {
        let _: Int = try await con.name()
      }
      let name: String = try await con.name()
      #expect(name == "Horst")
    }
  }

  @Test func whatIsNotThere() async throws {
    try await withTango {
      $0.register("math.sqrt") { (x: Double) in x.squareRoot() }
    } _: { (con) async throws in
      for path in ["nothing", "math.nothing", "math.sqrt.deeper", "tango", ""] {
        do {
          try await con[path: path]()
          Issue.record("'\(path)' is there")
        } catch let error as TangoRemoteError {
          #expect(error.message == "tango server error \"\(path)\": no such variable")
        }
      }
      await #expect(throws: TangoRemoteError.self) { try await con.math() }
    }
  }

  @Test func access() async throws {
    var configuration = TangoServer.Configuration.forTests
    configuration.access = []
    try await withTango(configuration) {
      $0.variable("friends", initial: ["Horst"])
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      await #expect(
        throws: TangoRemoteError(
          path: "friends", value: #"tango server error "friends": no read_access"#)
      ) { try await con.friends() }
      await #expect(
        throws: TangoRemoteError(
          path: "friends", value: #"tango server error "friends": no write_access"#)
      ) { try await con.friends(["Ina"]) }
      #expect(try await con.fine() == 1)
    }
  }

  @Test func aDeadlinePasses() async throws {
    let gate = AsyncStream<Void>.makeStream()
    try await withTango {
      $0.register("wait") { () async -> String in
        for await _ in gate.stream { break }
        return "late"
      }
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      // It counts from the beginning of the call, and connecting can take long here.
      #expect(try await con.fine() == 1)
      await #expect(throws: TangoError.timedOut(path: "wait", seconds: 0.05)) {
        try await con[timeout: .milliseconds(50)].wait()
      }
      gate.continuation.yield()
      // The late answer is dropped, and the next one is not taken for it.
      #expect(try await con.fine() == 1)
    }
  }

  @Test func aCallerIsCancelled() async throws {
    let gate = AsyncStream<Void>.makeStream()
    let isRunning = AsyncStream<Void>.makeStream()
    try await withTango {
      $0.register("wait") { () async -> String in
        isRunning.continuation.yield()
        for await _ in gate.stream { break }
        return "late"
      }
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      let task = Task { try await con.wait() }
      for await _ in isRunning.stream { break }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      gate.continuation.yield()
      #expect(try await con.fine() == 1)
      let early = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return try await con.fine()
      }
      await #expect(throws: CancellationError.self) { try await early.value }
    }
  }

  @Test func theServerGoesWithCallsInFlight() async throws {
    var namespace = TangoNamespace()
    let isRunning = AsyncStream<Void>.makeStream()
    let wasCancelled = AsyncStream<Bool>.makeStream()
    namespace.register("wait") { () async throws -> String in
      isRunning.continuation.yield()
      defer { wasCancelled.continuation.yield(Task.isCancelled) }
      try await Task.sleep(for: .seconds(600))
      return "never"
    }
    var configuration = TangoServer.Configuration.forTests
    configuration.shutdownGrace = .milliseconds(10)
    let server = TangoServer(namespace, configuration: configuration)
    let port = try await server.start()
    let client = try await Tango.connect(
      host: "127.0.0.1", port: port, configuration: .forTests)
    let calls = (0..<3).map { _ in Task { try await client.wait() } }
    for await _ in isRunning.stream { break }
    await server.shutDown()
    for call in calls {
      await #expect(throws: TangoError.connectionClosed(peer: "127.0.0.1:\(port)")) {
        try await call.value
      }
    }
    var iterator = wasCancelled.stream.makeAsyncIterator()
    #expect(await iterator.next() == true)
    await #expect(throws: TangoError.connectionClosed(peer: "127.0.0.1:\(port)")) {
      try await client.wait()
    }
  }

  @Test func whatCannotBeSent() async throws {
    var configuration = TangoServer.Configuration.forTests
    configuration.limits.frameBytes = 1000
    var clientConfiguration = TangoClient.Configuration.forTests
    clientConfiguration.limits.frameBytes = 2000
    try await withTango(configuration, client: clientConfiguration) {
      $0.register("length") { (text: String) in text.count }
      $0.register("long") { (count: Int) in String(repeating: "x", count: count) }
      $0.register("huge") { UInt64.max }
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      await #expect(throws: TangoError.self) {
        try await con.length(String(repeating: "x", count: 2000))
      }
      await #expect(throws: TangoError.self) { try await con.length(UInt64.max) }
      await #expect(throws: TangoRemoteError.self) { try await con.long(1000) }
      await #expect(throws: TangoRemoteError.self) { try await con.huge() }
      #expect(try await con.fine() == 1)
      // What the client may send, the server need not take.
      await #expect(throws: TangoRemoteError.self) {
        try await con.length(String(repeating: "x", count: 1500))
      }
      await #expect(throws: TangoError.self) { try await con.fine() }
    }
  }

  @Test func nobodyListens() async throws {
    // A port that is taken, but on which no server listens.
    let holder = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .bind(host: "127.0.0.9", port: 0).get()
    let port = holder.localAddress!.port!
    do {
      _ = try await Tango.connect(host: "127.0.0.9", port: port)
      Issue.record("connected")
    } catch TangoError.connectFailed(let peer, let reason) {
      #expect(peer == "127.0.0.9:\(port)")
      #expect(reason.contains("Connection refused"))
    }
    try await holder.close()
  }

  @Test func aPeerThatIsNoServerOfTango() async throws {
    let listener = try await startGreeter("HTTP/1.1 400 Bad Request\r\n\r\n")
    let client = try await Tango.connect(
      host: "127.0.0.1", port: listener.localAddress!.port!, configuration: .forTests)
    await #expect(throws: TangoError.self) { try await client.anything() }
    try await listener.close()
  }
}
