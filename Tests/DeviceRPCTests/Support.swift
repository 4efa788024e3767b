import DeviceRPC
import Foundation
import NIOConcurrencyHelpers
import TestSupport
import Testing

extension RPCServer.Configuration {
  /// Any port. Other tests may keep all of Swift's threads for a while: nothing is too slow.
  static var forTests: Self {
    var configuration = Self(port: 0)
    configuration.handshakeTimeout = .seconds(300)
    configuration.timeout = nil
    configuration.stallTimeout = nil
    return configuration
  }
}

extension RPCPeer.Configuration {
  /// Without timeouts, for the same reason.
  static var forTests: Self {
    var configuration = Self()
    configuration.timeout = nil
    configuration.stallTimeout = nil
    return configuration
  }
}

/// A server with these functions, for the time of the test, and a peer that is connected to it.
func withPeers(
  _ configuration: RPCServer.Configuration = .forTests,
  client clientConfiguration: RPCPeer.Configuration = .forTests,
  serving register: (inout RPCNamespace) -> Void,
  and registerOfClient: (inout RPCNamespace) -> Void = { _ in },
  whenConnected visitor: (@Sendable (RPCPeer) async throws -> Void)? = nil,
  _ body: (RPCPeer, RPCServer) async throws -> Void
) async throws {
  var namespace = RPCNamespace()
  register(&namespace)
  var namespaceOfClient = RPCNamespace()
  registerOfClient(&namespaceOfClient)
  let server = RPCServer(namespace, configuration: configuration, whenConnected: visitor)
  let port = try await server.start()
  let outcome: Result<Void, any Error>
  do {
    let peer = try await RPCPeer.connect(
      host: "127.0.0.1", port: port, serving: namespaceOfClient,
      configuration: clientConfiguration)
    outcome = .success(try await body(peer, server))
    peer.close()
  } catch {
    outcome = .failure(error)
  }
  await server.shutDown()
  try outcome.get()
}

extension RPCServer {
  /// The other end of the only connection.
  func accepted(_ peer: RPCPeer) async throws -> RPCPeer {
    // It is answered, so that it was accepted.
    _ = try await peer.eval("nothing")
    return try #require(peers.first)
  }
}

/// Something that happens once, and for which several may wait.
final class Gate: Sendable {
  private let state = NIOLockedValueBox(
    (isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))

  func open() {
    let waiting = state.withLockedValue { state in
      defer { state = (true, []) }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLockedValue { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }
}

/// Counts, and lets somebody wait for a number.
final class Tally: Sendable {
  private let state = NIOLockedValueBox(
    (count: 0, waiting: [(Int, CheckedContinuation<Void, Never>)]()))

  var count: Int { state.withLockedValue { $0.count } }

  func add(_ amount: Int = 1) {
    let reached = state.withLockedValue { state in
      state.count += amount
      let count = state.count
      let reached = state.waiting.filter { $0.0 <= count }
      state.waiting.removeAll { $0.0 <= count }
      return reached
    }
    for (_, continuation) in reached { continuation.resume() }
  }

  func reach(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isThere = state.withLockedValue { state in
        if state.count < count { state.waiting.append((count, continuation)) }
        return state.count >= count
      }
      if isThere { continuation.resume() }
    }
  }
}

/// A program of another language, for the time of a test.
final class Helper {
  let place: Workplace
  let process: pid_t

  init(_ program: Program, _ arguments: [String], in place: Workplace) throws {
    self.place = place
    process = try place.start(program, arguments, session: true)
  }

  deinit {
    kill(-process, SIGKILL)
    _ = try? waitForEnd(of: process)
  }

  /// The number that the program tells when it listens: in the file `port`, or at the end of its output.
  func port(in file: String = "port") async throws -> Int {
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      // Other tests may have kept all threads since the last look.
      let isOver = ContinuousClock.now > deadline
      let text = (try? place.read(file)) ?? ""
      if text.hasSuffix("\n"), let port = text.split(whereSeparator: \.isWhitespace).last {
        return try #require(Int(port))
      }
      if isOver {
        throw DoesNotListen(description: "the program does not listen: \(try place.read("stderr"))")
      }
      try await Task.sleep(for: .milliseconds(5))
    }
  }
}

struct DoesNotListen: Error { let description: String }

extension Workplace {
  /// Runs a program to its end, without keeping one of Swift's own threads.
  func runAside(_ program: Program, _ arguments: [String]) async throws -> Outcome {
    nonisolated(unsafe) let place = self
    return try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(with: Result { try place.run(program, arguments, session: true) })
      }
    }
  }
}
