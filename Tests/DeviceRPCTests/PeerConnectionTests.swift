import DeviceRPC
import Foundation
import MilongaNIOTestSupport
import MilongaRPC
import MilongaTestSupport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing

@Suite struct PeerConnectionTests {
  @Test func tooManyConnections() async throws {
    var configuration = RPCServer.Configuration.forTests
    configuration.maxConnections = 1
    try await withPeers(configuration) {
      $0.register("fine") { 1 }
    } _: { (peer, server) async throws in
      #expect(try await peer.fine() == 1)
      await #expect(throws: RPCError.self) {
        let other = try await RPCPeer.connect(
          host: "127.0.0.1", port: peer.address!.port!, configuration: .forTests)
        try await other.fine()
      }
      #expect(try await peer.fine() == 1)
      #expect(server.peers.count == 1)
    }
  }

  @Test func authorization() async throws {
    let seen = NIOLockedValueBox(0)
    var configuration = RPCServer.Configuration.forTests
    configuration.logger.logLevel = .critical
    configuration.authorize = { client in
      #expect(client.address?.ipAddress == "127.0.0.1")
      #expect(client.certificate == nil)
      // What comes meanwhile waits.
      await Task.yield()
      return seen.withLockedValue {
        $0 += 1
        return $0 > 1
      }
    }
    try await withPeers(configuration) {
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      await #expect(throws: RPCError.self) { try await peer.fine() }
      let second = try await RPCPeer.connect(
        host: "127.0.0.1", port: peer.port, configuration: .forTests)
      #expect(try await second.fine() == 1)
      #expect(seen.withLockedValue { $0 } == 2)
      second.close()
    }
  }

  @Test func aSilentConnectionIsClosed() async throws {
    var configuration = RPCServer.Configuration.forTests
    configuration.logger.logLevel = .critical
    configuration.idleTimeout = .milliseconds(50)
    try await withPeers(configuration) {
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      await peer.waitUntilClosed()
      #expect(!peer.isOpen)
    }
  }

  @Test func aMessageThatIsNeverWhole() async throws {
    var configuration = RPCServer.Configuration.forTests
    configuration.logger.logLevel = .critical
    configuration.stallTimeout = .milliseconds(50)
    try await withPeers(configuration) {
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      let socket = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: peer.port).get()
      try await socket.writeAndFlush(ByteBuffer(bytes: [0, 1, 0, 0, 0, 9, 4, 0])).get()
      try? await socket.closeFuture.get()
      // A connection between two messages may be silent.
      #expect(try await peer.fine() == 1)
    }
  }

  @Test func aVisitorThatThrowsCloses() async throws {
    struct Enough: Error {}
    var configuration = RPCServer.Configuration.forTests
    configuration.logger.logLevel = .critical
    try await withPeers(configuration) {
      $0.register("fine") { 1 }
    } whenConnected: { peer in
      #expect(peer.isOpen)
      throw Enough()
    } _: { (peer, _) async throws in
      await peer.waitUntilClosed()
    }
  }

  @Test func nobodyHasThePeerAnyMore() async throws {
    let gone = Gate()
    try await withPeers {
      $0.register("fine") { 1 }
    } whenConnected: { peer in
      Task {
        await peer.waitUntilClosed()
        gone.open()
      }
    } _: { (peer, server) async throws in
      var other: RPCPeer? = try await RPCPeer.connect(
        host: "127.0.0.1", port: peer.port, configuration: .forTests)
      _ = try await other?.fine()
      #expect(server.peers.count == 2)
      other = nil
      await gone.pass()
      #expect(try await peer.fine() == 1)
    }
  }

  @Test func aPeerThatDoesNotRead() async throws {
    // A megabyte for a few bytes, again and again: the server stops to take calls, and goes on
    // later.
    let served = Tally()
    let big = String(repeating: "x", count: 60_000)
    try await withPeers {
      $0.register("big") { () -> String in
        served.add()
        return big
      }
      $0.register("fine") { 1 }
    } _: { (peer, _) async throws in
      let name = Array("big".utf8)
      var calls = ByteBuffer()
      for index in 0..<2000 {
        calls.writeBytes([0, UInt8(truncatingIfNeeded: index), 0, 0, 0, 6, 4, 0, 3] + name)
      }
      let socket = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .channelOption(.autoRead, value: false)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(Swallower())
          }
        }
        .connect(host: "127.0.0.1", port: peer.port).get()
      try await socket.writeAndFlush(calls).get()
      await served.reach(1)
      #expect(try await peer.fine() == 1)
      // 120 MB would be all of them.
      #expect(served.count < 1500)
      try await socket.setOption(.autoRead, value: true).get()
      await served.reach(2000)
      try await socket.close().get()
    }
  }

  @Test func aServiceFinishesWhatRuns() async throws {
    var namespace = RPCNamespace()
    let isRunning = Gate()
    let gate = Gate()
    namespace.register("wait") { () async throws -> String in
      isRunning.open()
      await gate.pass()
      // What serves may still call back.
      return try await RPCPeer.current!.name()
    }
    namespace.register("fine") { 1 }
    let server = RPCServer(namespace, configuration: .forTests)
    let port = try await server.start()
    let group = ServiceGroup(
      configuration: .init(services: [server], logger: server.configuration.logger))
    let service = Task { try await group.run() }
    var own = RPCNamespace()
    let isRefused = Gate()
    own.register("name") { "Horst" }
    let peer = try await RPCPeer.connect(
      host: "127.0.0.1", port: port, serving: own, configuration: .forTests)
    let call = Task { () async throws -> String in try await peer.wait() }
    await isRunning.pass()
    await group.triggerGracefulShutdown()
    let refusals = Task {
      while true {
        do {
          _ = try await peer.fine()
        } catch let error as RPCRemoteError {
          #expect(error.message == "rpc: the peer shuts down")
          return isRefused.open()
        }
      }
    }
    await isRefused.pass()
    gate.open()
    #expect(try await call.value == "Horst")
    try await refusals.value
    try await service.value
    await peer.waitUntilClosed()
    await #expect(throws: RPCError.self) { try await peer.fine() }
  }

  @Test func theGraceIsOver() async throws {
    var configuration = RPCServer.Configuration.forTests
    configuration.shutdownGrace = .milliseconds(10)
    let running = Gate()
    let cancelled = Gate()
    try await withPeers(configuration) {
      $0.register("wait") { () async throws -> Int in
        running.open()
        defer { cancelled.open() }
        try await Task.sleep(for: .seconds(600))
        return 1
      }
    } _: { (peer, server) async throws in
      let call = Task { try await peer.wait() }
      await running.pass()
      await server.shutDown()
      await #expect(throws: RPCError.self) { try await call.value }
      await cancelled.pass()
    }
  }

  @Test func aPeerShutsDown() async throws {
    let gate = Gate()
    let running = Gate()
    try await withPeers {
      $0.register("unused") {}
    } and: {
      $0.register("wait") { () async -> Int in
        running.open()
        await gate.pass()
        return 7
      }
    } _: { (peer, server) async throws in
      let other = try await server.accepted(peer)
      let call = Task { () async throws -> Int in try await other.wait() }
      await running.pass()
      async let isDown: Void = peer.shutDown()
      gate.open()
      #expect(try await call.value == 7)
      await isDown
      #expect(!peer.isOpen)
    }
  }

  @Test func tls() async throws {
    let place = try Workplace()
    let files = try TestCertificates(in: place)
    var configuration = RPCServer.Configuration.forTests
    configuration.logger.logLevel = .critical
    configuration.tls = files.server
    let names = NIOLockedValueBox<[Bool]>([])
    configuration.authorize = { client in
      names.withLockedValue { $0.append(client.certificate == files.certificate) }
      return true
    }
    var client = RPCPeer.Configuration.forTests
    client.tls = files.client
    client.sslHostname = "localhost"
    try await withPeers(configuration, client: client) {
      $0.register("greet") { (name: String) async throws -> String in
        let title: String = try await RPCPeer.current!.title()
        return "Hello, \(title) \(name)"
      }
    } and: {
      $0.register("title") { "Mr" }
    } _: { (peer, server) async throws in
      #expect(try await peer.greet("Horst") == "Hello, Mr Horst")
      #expect(names.withLockedValue { $0 } == [true])
      #expect(peer.certificate == files.certificate)
      #expect(server.peers.first?.certificate == files.certificate)
      let long: String = try await peer.greet(String(repeating: "x", count: 60_000))
      #expect(long.count == 60_010)

      var wrongName = client
      wrongName.sslHostname = "elsewhere"
      do {
        _ = try await RPCPeer.connect(
          host: "127.0.0.1", port: peer.port, configuration: wrongName)
        Issue.record("connected to somebody else")
      } catch RPCError.connectFailed(let name, let reason) {
        #expect(name == "127.0.0.1:\(peer.port)")
        #expect(!reason.isEmpty)
      }
      await #expect(throws: RPCError.self) {
        let plain = try await RPCPeer.connect(
          host: "127.0.0.1", port: peer.port, configuration: .forTests)
        try await plain.greet("Horst")
      }
      #expect(try await peer.greet("Ina") == "Hello, Mr Ina")
    }
  }
}

extension RPCPeer {
  /// The port of the other side; its name keeps it when the connection has ended.
  fileprivate var port: Int { Int(description.split(separator: ":").last!)! }
}

/// Reads, and forgets.
private final class Swallower: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
