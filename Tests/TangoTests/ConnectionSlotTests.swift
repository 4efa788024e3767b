import Foundation
import MilongaNIOTestSupport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import Tango

/// How a client makes its connections, and makes new ones.
@Suite struct ConnectionSlotTests {
  @Test func reconnecting() async throws {
    var namespace = TangoNamespace()
    namespace.register("fine") { 1 }
    // An address that no other program uses, so that none takes the port in between.
    let host = "127.0.0.9"
    let first = TangoServer(namespace, configuration: .init(host: host, port: 0))
    let port = try await first.start()
    var configuration = TangoClient.Configuration.forTests
    configuration.reconnects = true
    let client = TangoClient(host: host, port: port, configuration: configuration)
    #expect(try await client.fine() == 1)
    await first.shutDown()
    // No server listens for a while: a call is not sent before there is a connection. One that was
    // sent before the client heard of the end has failed.
    let call = Task { () async throws -> TangoValue in
      for _ in 1...20 {
        do { return try await client.fine() } catch TangoError.connectionClosed { continue }
      }
      throw TangoError.shutDown
    }
    let second = TangoServer(namespace, configuration: .init(host: host, port: port))
    // Programs that other tests start at this moment hold the first server's socket until they
    // execute.
    for attempt in 1... {
      do {
        _ = try await second.start()
        break
      } catch let error as IOError where error.errnoCode == EADDRINUSE && attempt < 1000 {
        await Task.yield()
      }
    }
    #expect(try await call.value == 1)
    await second.shutDown()
  }

  @Test func severalConnections() async throws {
    var configuration = TangoClient.Configuration.forTests
    configuration.connections = 4
    let isRunning = AsyncStream<Void>.makeStream()
    let gate = NIOLockedValueBox<[CheckedContinuation<Void, Never>]>([])
    try await withTango(client: configuration) {
      $0.register("wait") { () async -> Int in
        await withCheckedContinuation { continuation in
          gate.withLockedValue { $0.append(continuation) }
          isRunning.continuation.yield()
        }
        return 1
      }
    } _: { (con) async throws in
      let calls = (0..<4).map { _ in Task { try await con.wait() } }
      var iterator = isRunning.stream.makeAsyncIterator()
      // On one connection the second would wait for the first.
      for _ in 0..<4 { await iterator.next() }
      for waiting in gate.withLockedValue({ $0 }) { waiting.resume() }
      for call in calls { #expect(try await call.value == 1) }
    }
  }

  /// Callers that wait for a connection hear of their cancellation, their deadline and the client's
  /// end at once.
  @Test func givingUpWhileConnecting() async throws {
    // A port that is taken, but on which no server listens.
    let holder = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .bind(host: "127.0.0.11", port: 0).get()
    let port = holder.localAddress!.port!
    var configuration = TangoClient.Configuration.forTests
    configuration.reconnects = true
    let client = TangoClient(host: "127.0.0.11", port: port, configuration: configuration)
    await #expect(
      throws: TangoError.connectFailed(
        peer: "127.0.0.11:\(port)", reason: "no connection within 0.02 s")
    ) { try await client[timeout: .milliseconds(20)].fine() }
    let cancelled = Task { try await client.fine() }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }

    // The attempt goes on without them.
    var namespace = TangoNamespace()
    namespace.register("fine") { 1 }
    let server = TangoServer(namespace, configuration: .init(host: "127.0.0.11", port: port))
    _ = try await server.start()
    #expect(try await client.fine() == 1)
    await server.shutDown()

    let other = TangoClient(host: "127.0.0.11", port: port, configuration: configuration)
    let begun = Gate()
    let closed = Task {
      begun.open()
      return try await other.fine()
    }
    await begun.pass()
    other.close()
    await #expect(throws: TangoError.shutDown) { try await closed.value }
    await #expect(throws: TangoError.shutDown) { try await other.fine() }
    try await holder.close()
  }

  /// Of several connections one that was lost is left alone, if there is no other to be made.
  @Test func oneOfSeveralIsLost() async throws {
    let seen = NIOLockedValueBox(0)
    var configuration = TangoServer.Configuration.forTests
    configuration.logger.logLevel = .critical
    configuration.authorize = { _ in
      seen.withLockedValue {
        $0 += 1
        return $0 == 1
      }
    }
    var clientConfiguration = TangoClient.Configuration.forTests
    clientConfiguration.connections = 2
    let isRunning = Gate()
    let gate = Gate()
    try await withTango(configuration, client: clientConfiguration) {
      $0.register("wait") { () async -> Int in
        isRunning.open()
        await gate.pass()
        return 1
      }
      $0.register("fine") { 2 }
    } _: { (con) async throws in
      let waiting = Task { try await con.wait() }
      await isRunning.pass()
      // The other connection is refused.
      await #expect(throws: TangoError.self) { try await con.fine() }
      // This one waits behind the first call, which is better than no connection.
      await #expect(throws: TangoError.timedOut(path: "fine", seconds: 0.05)) {
        try await con[timeout: .milliseconds(50)].fine()
      }
      gate.open()
      #expect(try await waiting.value == 1)
      #expect(try await con.fine() == 2)
    }
  }
}
