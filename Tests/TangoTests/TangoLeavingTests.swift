import Glibc
import MilongaNIOTestSupport
import MilongaRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Tango
import Testing

/// Clients that leave while a function of theirs waits.
@Suite struct TangoLeavingTests {
  enum Leaving: String, CaseIterable, Sendable {
    case closes
    case resets
    case shutsDown
  }

  /// The connection is closed at once, even while the function does not heed its cancellation, and
  /// what was called before the end runs.
  @Test(arguments: Leaving.allCases)
  func whileAFunctionWaits(_ leaving: Leaving) async throws {
    let (begun, cancelled, may, noted, second) = (Gate(), Gate(), Gate(), Tally(), Gate())
    try await withServer(.ordered) {
      $0.register("stubborn") { () async -> Int in
        begun.open()
        await withTaskCancellationHandler {
          await may.pass()
        } onCancel: {
          cancelled.open()
        }
        return 1
      }
      $0.register("note") { () -> Int in
        noted.add()
        return 1
      }
      $0.register("patient") { () async throws -> Int in
        // No task waits for it: it is cancelled from the beginning.
        do { try await Task.sleep(for: .seconds(600)) } catch { second.open() }
        return 1
      }
    } _: { port in
      let client = try await RawClient.connect(port)
      client.send(["note", "stubborn", "note", "patient", "note"])
      await begun.pass()
      await noted.reach(1)
      try await client.leave(leaving)
      await cancelled.pass()
      // The server's end of the connection is gone, and the function still runs.
      if leaving == .shutsDown { await client.closed() }
      #expect(noted.count == 1)
      may.open()
      await second.pass()
      await noted.reach(3)
    }
  }

  /// Calls that run side by side are cancelled together, and those behind them begin cancelled.
  @Test(arguments: Leaving.allCases)
  func whileManyFunctionsWait(_ leaving: Leaving) async throws {
    let (begun, cancelled) = (Tally(), Tally())
    try await withServer {
      $0.register("patient") { () async throws -> Int in
        begun.add()
        do { try await Task.sleep(for: .seconds(600)) } catch { cancelled.add() }
        return 1
      }
    } _: { port in
      let client = try await RawClient.connect(port)
      client.send(Array(repeating: "patient", count: 10_000))
      await begun.reach(256)
      #expect(begun.count == 256)
      #expect(cancelled.count == 0)
      try await client.leave(leaving)
      await cancelled.reach(begun.count)
      // What a reset leaves unread is lost.
      if leaving == .shutsDown { await cancelled.reach(10_000) }
    }
  }

  /// Answers that are not taken do not pile up, and do not stop the calls behind them.
  @Test func manyCallsBehind() async throws {
    let (begun, may, noted) = (Gate(), Gate(), Tally())
    try await withServer {
      $0.register("wait") { () async -> Int in
        begun.open()
        await may.pass()
        return 1
      }
      $0.register("large") { () -> String in
        noted.add()
        return String(repeating: "x", count: 30_000)
      }
    } _: { port in
      let client = try await RawClient.connect(port)
      client.send(["wait"] + Array(repeating: "large", count: 100))
      await begun.pass()
      try await client.leave(.shutsDown)
      await client.closed()
      may.open()
      await noted.reach(100)
    }
  }

  private func withServer(
    _ concurrency: CallConcurrency = .sideBySide(),
    _ register: (inout TangoNamespace) -> Void, _ body: (Int) async throws -> Void
  ) async throws {
    var namespace = TangoNamespace()
    register(&namespace)
    var configuration = TangoServer.Configuration.forTests
    configuration.concurrency = concurrency
    let server = TangoServer(namespace, configuration: configuration)
    let port = try await server.start()
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(port)) } catch { outcome = .failure(error) }
    await server.shutDown()
    try outcome.get()
  }
}

/// A client that sends calls and reads nothing but the end.
private struct RawClient: Sendable {
  let channel: any Channel

  static func connect(_ port: Int) async throws -> RawClient {
    RawClient(
      channel: try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .channelOption(.allowRemoteHalfClosure, value: false)
        .connect(host: "127.0.0.1", port: port).get())
  }

  func send(_ paths: [String]) {
    let text = paths.map { "\($0.utf8.count + 4)\n{\"\($0)\"}" }.joined()
    channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
  }

  func leave(_ way: TangoLeavingTests.Leaving) async throws {
    switch way {
    case .closes: try await channel.close().get()
    case .resets:
      let atOnce = linger(l_onoff: 1, l_linger: 0)
      try await (channel as! any SocketOptionProvider).setSoLinger(atOnce).get()
      try await channel.close().get()
    case .shutsDown: try await channel.close(mode: .output).get()
    }
  }

  /// Waits until the server has closed the connection.
  func closed() async { try? await channel.closeFuture.get() }
}
