import MilongaNIOTestSupport
import MilongaRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import NIOPosix
import RPCRuntime
import Testing

@testable import DeviceRPC

/// What a peer sends and should not: an error that says so, and the end of a connection that cannot
/// be trusted.
@Suite struct PeerBadInputTests {
  /// What becomes of a connection.
  enum Outcome: Sendable, Equatable {
    case closed
    /// An answer with this status, and this in it.
    case answered(UInt8, String)
    case ignored
  }

  static let name: [UInt8] = [4, 0, 1, 0x66]
  static let nested: [UInt8] =
    Array([[UInt8]](repeating: [5, 0, 1, 7, 0, 0, 0, 1], count: 100_000).joined()) + [0]

  static func call(_ payload: [UInt8]) -> [UInt8] { message(0, payload) }

  static func message(_ kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
    [kind, 0] + (0..<4).map { UInt8(truncatingIfNeeded: payload.count >> (24 - 8 * $0)) } + payload
  }

  static let cases: [(String, [UInt8], Outcome)] = [
    ("an unknown type", [2], .closed),
    ("a size past the limit", [0, 0, 0xFF, 0xFF, 0xFF, 0xFF], .closed),
    ("an answer without status", [1, 0, 0, 0, 0, 0], .closed),
    ("an empty call", call([]), .closed),
    ("a type of value that does not exist", call(name + [9]), .closed),
    ("a string that is cut off", call([4, 0, 9, 0x66]), .closed),
    ("a table that claims more than there is", call(name + [5, 0xFF, 0xFE]), .closed),
    ("a reference to nothing", call(name + [0x14, 0, 1]), .closed),
    ("nil as a key", call(name + [5, 0, 1, 0, 0]), .closed),
    ("nested 100,000 deep", call(name + nested), .answered(1, "nested at most 128 deep")),
    (
      "a table in itself", call(name + [5, 0, 1, 7, 0, 0, 0, 1, 0x14, 0, 1]),
      .answered(1, "contains itself")
    ),
    ("bytecode", call(name + [6, 0, 2, 0x1B, 0x4C]), .answered(1, "a function cannot be")),
    ("an object that nobody has", call(name + [0x3F, 0, 0, 0, 9]), .answered(1, "Unknown local")),
    ("a name that is a number", call([7, 0, 0, 0, 1]), .answered(2, "")),
    (
      "more arguments than allowed", call(name + Array(repeating: 0, count: 9000)),
      .answered(1, "more than 7999 values")
    ),
    ("an answer to nothing", message(1, [0]), .ignored),
    ("half of a message", [0, 0, 0, 0, 0, 9, 4], .ignored),
  ]

  private func makeConnection(
    _ channel: EmbeddedChannel, _ namespace: RPCNamespace = .init()
  ) throws -> PeerConnection {
    var configuration = RPCPeer.Configuration.forTests
    configuration.logger.logLevel = .critical
    let connection = PeerConnection(channel, "test", namespace, ConnectionSettings(configuration))
    try channel.pipeline.syncOperations.addHandler(connection)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    return connection
  }

  @Test(arguments: cases)
  func message(_ what: String, _ bytes: [UInt8], _ expected: Outcome) throws {
    let channel = EmbeddedChannel()
    let connection = try makeConnection(channel)
    try channel.writeInbound(ByteBuffer(bytes: bytes))
    channel.embeddedEventLoop.run()
    let answer = try channel.readOutbound(as: ByteBuffer.self).map { Array($0.readableBytesView) }
    switch expected {
    case .closed:
      #expect(!channel.isActive && !connection.isOpen)
      #expect(answer == nil)
    case .ignored:
      #expect(channel.isActive && connection.isOpen)
      #expect(answer == nil)
    case .answered(let status, let text):
      #expect(channel.isActive && connection.isOpen)
      let answer = try #require(answer)
      #expect(answer[LuaRPCFraming.headerBytes] == status)
      let rest = String(decoding: answer[(LuaRPCFraming.headerBytes + 1)...], as: UTF8.self)
      #expect(rest.contains(text) || text.isEmpty, "\(rest)")
    }
    _ = try? channel.finish()
  }

  /// A call, and how it has ended.
  private func toldCall(
    _ name: String
  ) -> (call: PendingCall, outcome: NIOLockedValueBox<Result<Void, any Error>?>) {
    let outcome = NIOLockedValueBox<Result<Void, any Error>?>(nil)
    let call = PendingCall(name: name) { ended in
      outcome.withLockedValue { $0 = ended.map { _ in } }
    }
    return (call, outcome)
  }

  /// The caller hears what is wrong with its answer; others only if the connection ends.
  @Test(
    arguments: [
      ("malformed", [0, 9], false), ("cut off", [0, 4, 0, 9], false),
      ("a function", [0, 6, 0, 1, 1], true), ("an unknown object", [0, 0x3F, 0, 0, 0, 9], true),
      ("too deep", [0] + nested, true),
    ] as [(String, [UInt8], Bool)])
  func answer(_ what: String, _ payload: [UInt8], _ staysOpen: Bool) throws {
    let channel = EmbeddedChannel()
    let connection = try makeConnection(channel)
    let calls = (0..<2).map { toldCall("f\($0)") }
    for (call, _) in calls { connection.start(call) { $0.text("f") } }
    channel.embeddedEventLoop.run()
    try channel.writeInbound(ByteBuffer(bytes: Self.message(1, payload)))
    channel.embeddedEventLoop.run()
    #expect(channel.isActive == staysOpen)
    #expect(throws: RPCError.self) { try calls[0].outcome.withLockedValue { $0 }?.get() }
    #expect(calls[1].outcome.withLockedValue { $0 == nil } == staysOpen)
    _ = try? channel.finish()
    #expect(throws: RPCError.self) { try calls[1].outcome.withLockedValue { $0 }?.get() }
  }

  /// More calls at a time than the protocol has numbers.
  @Test func tooManyAtATime() async throws {
    var configuration = RPCServer.Configuration.forTests
    configuration.logger.logLevel = .critical
    let gate = Gate()
    let ended = Tally()
    try await withPeers(configuration) {
      $0.register("f") { () async -> Int in
        await gate.pass()
        ended.add()
        return 1
      }
    } _: { (peer, server) async throws in
      let other = try await server.accepted(peer)
      let calls = Self.call(Self.name)
      let socket = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: peer.address!.port!).get()
      try await socket.writeAndFlush(
        ByteBuffer(bytes: [[UInt8]](repeating: calls, count: 257).joined())
      ).get()
      try? await socket.closeFuture.get()
      // The others have not noticed.
      #expect(other.isOpen)
      gate.open()
      await ended.reach(256)
      #expect(try await peer.f() == 1)
      #expect(ended.count == 257)
    }
  }

  /// Nothing is left of a connection that has ended, however it has.
  @Test(arguments: ["closed by us", "closed by them", "broken", "dropped"])
  func nothingIsLeft(_ how: String) throws {
    weak var weakConnection: PeerConnection?
    weak var weakPeer: RPCPeer?
    do {
      let channel = EmbeddedChannel()
      let connection = try makeConnection(channel)
      var peer = connection.claimPeer()
      (weakConnection, weakPeer) = (connection, peer)
      let (call, outcome) = toldCall("f")
      connection.start(call) { $0.text("f") }
      // An object of theirs: in an answer without a call, and in an answer to one.
      try channel.writeInbound(ByteBuffer(bytes: Self.message(1, [0, 0x21, 0, 0, 0, 1])))
      switch how {
      case "closed by us": peer?.close()
      case "closed by them": channel.close(promise: nil)
      case "broken": try channel.writeInbound(ByteBuffer(bytes: [9]))
      default: break
      }
      peer = nil
      channel.embeddedEventLoop.run()
      #expect(!channel.isActive)
      #expect(outcome.withLockedValue { $0 != nil })
      _ = try? channel.finish(acceptAlreadyClosed: true)
    }
    #expect(weakPeer == nil)
    #expect(weakConnection == nil)
  }

  /// Calls that tasks make in one round leave together; so do the answers to what was read at once.
  @Test func oneWritePerRound() throws {
    let channel = EmbeddedChannel()
    var namespace = RPCNamespace()
    namespace.register("f") { 1 }
    let connection = try makeConnection(channel, namespace)
    let bytes = [[UInt8]](repeating: Self.call(Self.name), count: 20).joined()
    for call in (0..<20).map({ toldCall("f\($0)").call }) {
      connection.start(call) { $0.text("g") }
    }
    channel.embeddedEventLoop.run()
    let sent = try #require(try channel.readOutbound(as: ByteBuffer.self))
    #expect(sent.readableBytes == 20 * (LuaRPCFraming.headerBytes + 4))
    // On a slow machine a turn may be over before all are answered; not each time.
    var fewest = Int.max
    for _ in 0..<50 {
      try channel.writeInbound(ByteBuffer(bytes: bytes))
      var writes = 0
      var count = 0
      while count < 20 * (LuaRPCFraming.headerBytes + 6) {
        while let answers = try channel.readOutbound(as: ByteBuffer.self) {
          writes += 1
          count += answers.readableBytes
        }
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
      }
      #expect(count == 20 * (LuaRPCFraming.headerBytes + 6))
      fewest = min(fewest, writes)
      if fewest == 1 { break }
    }
    #expect(fewest == 1)
    _ = try? channel.finish()
  }
}
