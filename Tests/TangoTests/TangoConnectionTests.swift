import Foundation
import MilongaNIOTestSupport
import MilongaRPC
import MilongaTestSupport
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import NIOPosix
import ServiceLifecycle
import Testing

@testable import Tango

@Suite struct TangoConnectionTests {
  @Test func tooManyConnections() async throws {
    var configuration = TangoServer.Configuration.forTests
    configuration.maxConnections = 1
    try await withTango(configuration) {
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      #expect(try await con.fine() == 1)
      let other = TangoClient(
        host: "127.0.0.1", port: con.port, configuration: .forTests)
      await #expect(throws: TangoError.self) { try await other.fine() }
      #expect(try await con.fine() == 1)
    }
  }

  @Test func authorization() async throws {
    let seen = NIOLockedValueBox(0)
    var configuration = TangoServer.Configuration.forTests
    configuration.authorize = { peer in
      #expect(peer.address?.ipAddress == "127.0.0.1")
      #expect(peer.certificate == nil)
      return seen.withLockedValue {
        $0 += 1
        return $0 > 1
      }
    }
    try await withTango(configuration) {
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      await #expect(throws: TangoError.self) { try await con.fine() }
      let second = TangoClient(
        host: "127.0.0.1", port: con.port, configuration: .forTests)
      #expect(try await second.fine() == 1)
      #expect(try await second.fine() == 1)
      #expect(seen.withLockedValue { $0 } == 2)
    }
  }

  @Test func aSilentConnectionIsClosed() async throws {
    var configuration = TangoServer.Configuration.forTests
    configuration.idleTimeout = .milliseconds(50)
    try await withTango(configuration) {
      $0.register("fine") { 1 }
    } _: { (con) async throws in
      let socket = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: con.port).get()
      // Perhaps with an error, which does not matter.
      try? await socket.closeFuture.get()
    }
  }

  @Test func aServiceFinishesWhatRuns() async throws {
    var namespace = TangoNamespace()
    let isRunning = AsyncStream<Void>.makeStream()
    let gate = AsyncStream<Void>.makeStream()
    namespace.register("wait") { () async -> String in
      isRunning.continuation.yield()
      for await _ in gate.stream { break }
      return "done"
    }
    let server = TangoServer(namespace, configuration: .forTests)
    let port = try await server.start()
    let group = ServiceGroup(
      configuration: .init(services: [server], logger: server.configuration.logger))
    let service = Task { try await group.run() }
    let client = try await Tango.connect(
      host: "127.0.0.1", port: port, configuration: .forTests)
    let call = Task { () async throws -> String in try await client.wait() }
    for await _ in isRunning.stream { break }
    await group.triggerGracefulShutdown()
    gate.continuation.yield()
    #expect(try await call.value == "done")
    try await service.value
    await #expect(throws: TangoError.self) { try await client.wait() }
  }

  /// Several tasks that shut a server down wait for the same end, and so does `run`.
  @Test func shutDownByMany() async throws {
    var namespace = TangoNamespace()
    let isRunning = Gate()
    let gate = Gate()
    namespace.register("wait") { () async -> String in
      isRunning.open()
      await gate.pass()
      return "done"
    }
    let server = TangoServer(namespace, configuration: .forTests)
    let port = try await server.start()
    let run = Task { try await server.run() }
    let client = try await Tango.connect(
      host: "127.0.0.1", port: port, configuration: .forTests)
    let call = Task { () async throws -> String in try await client.wait() }
    await isRunning.pass()
    let begun = Tally()
    let ends = (0..<3).map { _ in
      Task {
        begun.add()
        await server.shutDown()
      }
    }
    await begun.reach(3)
    gate.open()
    #expect(try await call.value == "done")
    for end in ends { await end.value }
    try await run.value
    // It does not begin again.
    await #expect(throws: TangoError.shutDown) { try await server.start() }
    try await server.run()
  }

  /// Who has not been let in is not waited for.
  @Test(arguments: ["authorization", "handshake"])
  func shutDownWhileOpening(_ what: String) async throws {
    var configuration = TangoServer.Configuration.forTests
    configuration.shutdownGrace = .seconds(600)
    let isAsked = Gate()
    let isCancelled = Gate()
    if what == "handshake" {
      configuration.tls = try TestCertificates(in: Workplace()).server
    } else {
      configuration.authorize = { _ in
        isAsked.open()
        defer { isCancelled.open() }
        try await Task.sleep(for: .seconds(600))
        return true
      }
    }
    let server = TangoServer(TangoNamespace(), configuration: configuration)
    let port = try await server.start()
    let socket = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(host: "127.0.0.1", port: port).get()
    if what == "handshake" {
      try await socket.writeAndFlush(ByteBuffer(bytes: [22])).get()
    } else {
      await isAsked.pass()
    }
    await server.shutDown()
    try? await socket.closeFuture.get()
    if what != "handshake" { await isCancelled.pass() }
  }

  /// A peer that breaks the protocol and does not read the reason does not stay for ever.
  @Test func silentWithItsLastAnswer() throws {
    var configuration = TangoServer.Configuration.forTests
    configuration.idleTimeout = .seconds(1)
    configuration.logger.logLevel = .critical
    let channel = EmbeddedChannel()
    let server = TangoServer(TangoNamespace(), configuration: configuration)
    try channel.pipeline.syncOperations.addHandlers([
      Stuck(), TangoServerHandler(server, channel.eventLoop),
    ])
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    try channel.writeInbound(ByteBuffer(string: "nonsense\n"))
    channel.embeddedEventLoop.run()
    #expect(channel.isActive)
    channel.pipeline.fireUserInboundEventTriggered(IdleStateHandler.IdleStateEvent.all)
    channel.embeddedEventLoop.run()
    #expect(!channel.isActive)
    _ = try? channel.finish(acceptAlreadyClosed: true)
  }

  /// Writing may come back with more to read, as SwiftNIO does when it fails: what was carried out
  /// is not carried out again.
  @Test(arguments: [
    (CallConcurrency.ordered, ["1", "2", "4", "3"]), (.sideBySide(), ["1", "4", "3", "2"]),
  ])
  func callsThatArriveWhileAnswersAreSent(
    _ concurrency: CallConcurrency, _ order: [String]
  ) throws {
    let ran = NIOLockedValueBox<[String]>([])
    var namespace = TangoNamespace()
    namespace.register("sync") { (name: String) in ran.withLockedValue { $0.append(name) } }
    namespace.register("async") { (name: String) async in
      ran.withLockedValue { $0.append(name) }
    }
    var configuration = TangoServer.Configuration.forTests
    configuration.concurrency = concurrency
    let server = TangoServer(namespace, configuration: configuration)
    let channel = EmbeddedChannel()
    try channel.pipeline.syncOperations.addHandlers([
      ReadingWhenItWrites(frame(#"{[1]="sync",[2]="3"}"#)),
      TangoServerHandler(server, channel.eventLoop),
    ])
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    var calls = frame(#"{[1]="sync",[2]="1"}"#)
    calls.writeImmutableBuffer(frame(#"{[1]="async",[2]="2"}"#))
    calls.writeImmutableBuffer(frame(#"{[1]="sync",[2]="4"}"#))
    try channel.writeInbound(calls)
    channel.embeddedEventLoop.run()
    var answers = ""
    while let answer = try channel.readOutbound(as: ByteBuffer.self) {
      answers += String(buffer: answer)
    }
    #expect(answers.filter { $0 == "\n" }.count == 4)
    #expect(ran.withLockedValue { $0 } == order)
    _ = try? channel.finish(acceptAlreadyClosed: true)
  }

  /// What a peer sends while its call waits stays with the peer, but for a little.
  @Test func thePeerWaitsWithItsCalls() async throws {
    var namespace = TangoNamespace()
    let isRunning = Gate()
    let gate = Gate()
    let isWritten = Gate()
    let served = Tally()
    namespace.register("wait") { () async in
      isRunning.open()
      await gate.pass()
    }
    namespace.register("swallow") { (_: String) in served.add() }
    let server = TangoServer(namespace, configuration: .forTests)
    let port = try await server.start()
    let socket = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(host: "127.0.0.1", port: port).get()
    try await socket.writeAndFlush(frame(#"{[1]="wait"}"#)).get()
    await isRunning.pass()
    let large = frame(#"{[1]="swallow",[2]="\#(String(repeating: "x", count: 1 << 20))"}"#)
    for _ in 0..<64 { socket.write(large, promise: nil) }
    let all = Task { () async throws in
      try await socket.writeAndFlush(frame(#"{[1]="swallow",[2]=""}"#)).get()
      isWritten.open()
    }
    // A server that reads on would have taken the 64 MB by then.
    try? await Task.sleep(for: .seconds(1))
    #expect(!isWritten.isOpen)
    gate.open()
    await served.reach(65)
    try await all.value
    try await socket.close().get()
    await server.shutDown()
  }

  private func frame(_ body: String) -> ByteBuffer {
    ByteBuffer(string: "\(body.utf8.count)\n\(body)")
  }

  @Test func aLargeLastAnswerArrivesWhole() async throws {
    var namespace = TangoNamespace()
    let isRunning = AsyncStream<Void>.makeStream()
    let gate = AsyncStream<Void>.makeStream()
    namespace.register("large") { () async -> String in
      isRunning.continuation.yield()
      for await _ in gate.stream { break }
      return String(repeating: "x", count: 8 << 20)
    }
    let server = TangoServer(namespace, configuration: .forTests)
    let port = try await server.start()
    let client = try await Tango.connect(
      host: "127.0.0.1", port: port, configuration: .forTests)
    let call = Task { () async throws -> String in try await client.large() }
    for await _ in isRunning.stream { break }
    let end = Task { await server.shutDown() }
    gate.continuation.yield()
    #expect(try await call.value.utf8.count == 8 << 20)
    await end.value
  }

  @Test func tls() async throws {
    let place = try Workplace()
    let files = try TestCertificates(in: place)
    var configuration = TangoServer.Configuration.forTests
    configuration.tls = files.server
    let names = NIOLockedValueBox<[Bool]>([])
    configuration.authorize = { peer in
      names.withLockedValue { $0.append(peer.certificate == files.certificate) }
      return true
    }
    var client = TangoClient.Configuration.forTests
    client.tls = files.client
    client.sslHostname = "localhost"
    try await withTango(configuration, client: client) {
      $0.register("greet") { (name: String) in "Hello, \(name)" }
    } _: { (con) async throws in
      #expect(try await con.greet("Horst") == "Hello, Horst")
      #expect(names.withLockedValue { $0 } == [true])

      var wrongName = client
      wrongName.sslHostname = "elsewhere"
      let other = TangoClient(host: "127.0.0.1", port: con.port, configuration: wrongName)
      await #expect(throws: TangoError.self) { try await other.greet("Horst") }
      let plain = TangoClient(
        host: "127.0.0.1", port: con.port, configuration: .forTests)
      await #expect(throws: TangoError.self) { try await plain.greet("Horst") }
      #expect(try await con.greet("Ina") == "Hello, Ina")
    }
  }
}

/// Hands on something to read with the first write.
private final class ReadingWhenItWrites: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  private var next: ByteBuffer?

  init(_ next: ByteBuffer) { self.next = next }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    context.write(data, promise: promise)
    guard let next else { return }
    self.next = nil
    context.fireChannelRead(NIOAny(next))
    context.fireChannelReadComplete()
  }
}

/// What is written never leaves.
private final class Stuck: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer
  private var promises: [EventLoopPromise<Void>] = []

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    if let promise { promises.append(promise) }
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    for waiting in promises { waiting.fail(ChannelError.ioOnClosedChannel) }
    context.close(mode: mode, promise: promise)
  }
}
