import DeviceRPC
import Foundation
import MilongaNIOTestSupport
import MilongaRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

/// An error says what went wrong, and harms no other call.
@Suite struct PeerErrorTests {
  @Test func whatTheFunctionThrows() async throws {
    struct Broken: Error, CustomStringConvertible { let description = "it is broken" }
    try await withPeers {
      $0.register("text") { () throws -> Int in throw Broken() }
      $0.register("value") { () async throws -> Int in
        throw RPCRemoteError(path: "", value: ["code": 7])
      }
      $0.register("huge") { () throws -> Int in
        throw RPCRemoteError(path: "", value: .integer(.max))
      }
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      await #expect(throws: RPCRemoteError(path: "text", value: "it is broken")) {
        try await peer.text()
      }
      await #expect(throws: RPCRemoteError(path: "value", value: ["code": 7])) {
        try await peer.value()
      }
      await #expect(throws: RPCError.unserializable(path: "huge")) { try await peer.huge() }
      #expect(try await peer.fine() == 1)
    }
  }

  @Test(
    arguments: [
      (["x", 2], "add: argument #1: expected Int, got string"),
      ([1], "add: expected 2 arguments (Int, Int), got 1"),
      ([1, 2, 3], "add: expected 2 arguments (Int, Int), got 3"),
      ([1, 2.5], "add: argument #2: expected Int, got 2.5 is no Int"),
      ([1, [2]], "add: argument #2: expected Int, got table"),
    ] as [([RPCValue], String)])
  func arguments(_ arguments: [RPCValue], _ message: String) async throws {
    try await withPeers {
      $0.register("add") { (a: Int, b: Int) in a + b }
    } _: { (peer, _) async throws in
      await #expect(throws: RPCRemoteError(path: "add", value: .string(ByteString(message)))) {
        try await peer.add.call(arguments)
      }
    }
  }

  @Test func whatIsNotThere() async throws {
    try await withPeers {
      $0.register("math.sqrt") { (x: Double) in x.squareRoot() }
    } _: { (peer, _) async throws in
      for path in ["nothing", "math.nothing", "math.sqrt.deeper"] {
        await #expect(throws: RPCError.noSuchFunction(path: path)) { try await peer[path: path]() }
      }
      for path in ["math", ""] {
        await #expect(throws: RPCError.notAFunction(path: path)) { try await peer[path: path]() }
      }
      await #expect(throws: RPCRemoteError.self) { try await peer.newexec("return 1") }
      await #expect(throws: RPCRemoteError.self) { try await peer.__call0() }
      await #expect(throws: RPCRemoteError.self) { try await peer.__rpcinvoke(1, "x") }
      await #expect(throws: RPCRemoteError.self) { try await peer.__rpceval() }
    }
  }

  @Test func resultsOfAnotherType() async throws {
    try await withPeers {
      $0.register("name") { "Horst" }
    } _: { (peer, _) async throws in
      await #expect(
        throws: RPCError.unexpectedResult(
          path: "name", index: 1, error: RPCTypeError(expected: "Int", found: "string"))
      ) {
        let _: Int = try await peer.name()
      }
      let name: String = try await peer.name()
      #expect(name == "Horst")
    }
  }

  @Test func aDeadlinePasses() async throws {
    let gate = Gate()
    try await withPeers {
      $0.register("wait") { () async -> String in
        await gate.pass()
        return "late"
      }
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      await #expect(throws: RPCError.timedOut(path: "wait", seconds: 0.05)) {
        try await peer[timeout: .milliseconds(50)].wait()
      }
      gate.open()
      // The late answer is dropped.
      for _ in 1...300 { #expect(try await peer.fine() == 1) }
    }
  }

  @Test func aCallerIsCancelled() async throws {
    let gate = Gate()
    let running = Gate()
    try await withPeers {
      $0.register("wait") { () async -> String in
        running.open()
        await gate.pass()
        return "late"
      }
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      let task = Task { try await peer.wait() }
      await running.pass()
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      gate.open()
      #expect(try await peer.fine() == 1)
      let early = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return try await peer.fine()
      }
      await #expect(throws: CancellationError.self) { try await early.value }
    }
  }

  /// The call's caller hears of the end at once, and its function is cancelled.
  @Test(arguments: ["client", "server"])
  func theEndInTheMiddleOfACall(_ who: String) async throws {
    let running = Tally()
    let cancelled = Tally()
    let wait: @Sendable () async throws -> String = {
      running.add()
      defer { if Task.isCancelled { cancelled.add() } }
      try await Task.sleep(for: .seconds(600))
      return "never"
    }
    try await withPeers {
      $0.register("wait", wait)
    } and: {
      $0.register("wait", wait)
    } _: { (peer, server) async throws in
      let other = try await server.accepted(peer)
      let calls = [Task { try await peer.wait() }, Task { try await other.wait() }]
      await running.reach(2)
      let port = peer.address!.port!
      (who == "client" ? peer : other).close()
      for (call, isMine) in zip(calls, who == "client" ? [true, false] : [false, true]) {
        do {
          _ = try await call.value
          Issue.record("it has a result")
        } catch RPCError.shutDown where isMine {
        } catch RPCError.connectionClosed(let name) where !isMine {
          #expect(who == "client" || name == "127.0.0.1:\(port)")
        }
      }
      await cancelled.reach(2)
      await peer.waitUntilClosed()
      await other.waitUntilClosed()
      #expect(!peer.isOpen && !other.isOpen)
      await #expect(throws: RPCError.self) { try await peer.wait() }
    }
  }

  @Test func whatCannotBeSent() async throws {
    var configuration = RPCServer.Configuration.forTests
    configuration.limits.frameBytes = 1000
    var clientConfiguration = RPCPeer.Configuration.forTests
    clientConfiguration.limits.frameBytes = 200_000
    try await withPeers(configuration, client: clientConfiguration) {
      $0.register("length") { (text: String) in text.count }
      $0.register("long") { (count: Int) in String(repeating: "x", count: count) }
      $0.register("huge") { UInt64.max }
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      func reason(_ arguments: RPCValue...) async -> String? {
        do {
          _ = try await peer.length.call(arguments)
          return nil
        } catch RPCError.unsendable("length", let reason) {
          return reason
        } catch {
          return "\(error)"
        }
      }
      let long = RPCValue.string(ByteString(Array(repeating: 120, count: 65_535)))
      #expect(
        await reason(1, long)
          == "argument #2: a string of 65535 bytes cannot be sent: 65534 is the most; "
          + "send it in pieces")
      #expect(
        await reason(["a": [1, ["b": .integer(1 << 60 + 1)]]])
          == "argument #1: at .a[2].b: the integer 1152921504606846977 has no exact form in 32 bits "
          + "or as a float; send it as a string")
      #expect(
        await reason(.table(Table(elements: Array(repeating: 1, count: 65_535))))?
          .hasPrefix("argument #1: a table of 65535 pairs") == true)
      #expect(
        await reason(long.half, long.half, long.half, long.half, long.half, long.half, long.half)?
          .hasPrefix("the message has ") == true)
      // As a float, which is exact.
      #expect(
        await reason(.integer(1 << 40))
          == "length: length: argument #1: expected String, got number")
      await #expect(throws: RPCError.self) { try await peer.length(UInt64.max) }
      await #expect(throws: RPCError.unserializable(path: "long")) { try await peer.long(1000) }
      await #expect(throws: RPCError.unserializable(path: "huge")) { try await peer.huge() }
      await #expect(throws: RPCError.self) {
        try await peer[path: String(repeating: "x", count: 70_000)]()
      }
      #expect(try await peer.fine() == 1)
      // What one side may send, the other need not take.
      await #expect(throws: RPCError.self) {
        try await peer.length(String(repeating: "x", count: 1500))
      }
      await #expect(throws: RPCError.self) { try await peer.fine() }
    }
  }

  @Test func tooManyCalls() async throws {
    var configuration = RPCPeer.Configuration.forTests
    configuration.limits.callsInFlight = 300
    let gate = Gate()
    let running = Tally()
    try await withPeers(client: configuration) {
      $0.register("wait") { () async -> Int in
        running.add()
        await gate.pass()
        return 1
      }
    } _: { (peer, _) async throws in
      try await withThrowingTaskGroup(of: Void.self) { group in
        let refused = Tally()
        for _ in 1...400 {
          group.addTask {
            do {
              try await peer.wait()
            } catch RPCError.tooManyCalls(limit: 300) {
              refused.add()
            }
          }
        }
        await refused.reach(100)
        gate.open()
        try await group.waitForAll()
        #expect(refused.count == 100)
        #expect(running.count == 300)
      }
    }
  }

  /// A device that hangs: the calls to it are given up, and then cost nothing more.
  @Test func aPeerThatNeverAnswers() async throws {
    let listener = try await startSilentListener()
    var configuration = RPCPeer.Configuration.forTests
    configuration.limits.callsInFlight = 300
    configuration.logger.logLevel = .critical
    let peer = try await RPCPeer.connect(
      host: "127.0.0.1", port: listener.localAddress!.port!, configuration: configuration)
    // They take all numbers, and those behind them wait for one.
    for batch in [256, 40, 40, 40] {
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<batch {
          group.addTask {
            await #expect(throws: RPCError.timedOut(path: "f", seconds: 0.01)) {
              try await peer[timeout: .milliseconds(10)].f()
            }
          }
        }
      }
    }
    peer.close()
    // Calls that were given up do not make a silent connection a busy one.
    configuration.idleTimeout = .milliseconds(50)
    var outcome: RPCError?
    let expected = RPCError.timedOut(path: "f", seconds: 0.1)
    // When other tests keep all threads, the connection may be silent, and be closed, before there
    // is a call.
    for _ in 0..<1000 where outcome != expected {
      let other = try await RPCPeer.connect(
        host: "127.0.0.1", port: listener.localAddress!.port!, configuration: configuration)
      do {
        try await other[timeout: .milliseconds(100)].f()
      } catch RPCError.connectionClosed {
        outcome = .connectionClosed(peer: "")
      } catch let error as RPCError {
        outcome = error
      }
      await other.waitUntilClosed()
      #expect(!other.isOpen)
    }
    #expect(outcome == expected)
    try await listener.close()
  }

  @Test func cancelledWhileConnecting() async throws {
    // A listener that accepts no connection, and has no room for another one to wait.
    let group = MultiThreadedEventLoopGroup.singleton
    let listener = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 0)
      .serverChannelOption(.autoRead, value: false)
      .bind(host: "127.0.0.1", port: 0).get()
    let port = listener.localAddress!.port!
    let first = try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: port).get()
    let task = Task {
      _ = try await RPCPeer.connect(host: "127.0.0.1", port: port, configuration: .forTests)
    }
    // 02 is a connection that is being made.
    let hex = String(port, radix: 16, uppercase: true)
    let line = "0100007F:\(String(repeating: "0", count: 4 - hex.count))\(hex) 02 "
    func isConnecting() throws -> Bool {
      // Not by String(contentsOfFile:), for which a short read is the end.
      let file = try #require(FileHandle(forReadingAtPath: "/proc/net/tcp"))
      let table = try file.readToEnd() ?? Data()
      return String(decoding: table, as: UTF8.self).contains(line)
    }
    while try !isConnecting() { try await Task.sleep(for: .milliseconds(5)) }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    while try isConnecting() { try await Task.sleep(for: .milliseconds(5)) }
    try await first.close()
    try await listener.close()
  }

  @Test func nobodyListens() async throws {
    // A port that is taken, but on which no server listens.
    let holder = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .bind(host: "127.0.0.10", port: 0).get()
    let port = holder.localAddress!.port!
    do {
      _ = try await RPCPeer.connect(host: "127.0.0.10", port: port)
      Issue.record("connected")
    } catch RPCError.connectFailed(let peer, let reason) {
      #expect(peer == "127.0.0.10:\(port)")
      #expect(reason.contains("Connection refused"))
    }
    try await holder.close()
  }

  @Test func aPeerThatSpeaksSomethingElse() async throws {
    let listener = try await startGreeter("HTTP/1.1 400 Bad Request\r\n\r\n")
    let port = listener.localAddress!.port!
    var configuration = RPCPeer.Configuration.forTests
    configuration.logger.logLevel = .critical
    let peer = try await RPCPeer.connect(
      host: "127.0.0.1", port: port, configuration: configuration)
    await #expect(
      throws: RPCError.protocolViolation(
        peer: "127.0.0.1:\(port)",
        reason: "a message of type 72: 0 (call) and 1 (response) exist")
    ) { try await peer.anything() }
    await peer.waitUntilClosed()
    try await listener.close()
  }
}

extension RPCValue {
  /// The first half of a string.
  fileprivate var half: RPCValue {
    guard case .string(let text) = self else { return self }
    return .string(ByteString(text.bytes.prefix(text.bytes.count / 2)))
  }
}
