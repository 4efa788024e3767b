import MilongaRPC
import MilongaTestSupport
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import RPCRuntime
import Testing

@testable import DeviceRPC

/// Whatever the other side sends, to a peer that calls and serves: no crash, whole messages, each
/// call ends exactly once, and the end of a connection that cannot be trusted.
@Suite struct PeerFuzzTests {
  /// A call that counts its ends, and looks at its results.
  private func countedCall(_ ends: NIOLockedValueBox<Int>) -> PendingCall {
    PendingCall(name: "f") { outcome in
      ends.withLockedValue { $0 += 1 }
      guard let results = try? outcome.get() else { return }
      for index in 1..<results.count + 1 { _ = results.value(at: index) }
      _ = try? results.decode([String: [Int]].self, at: 1)
      _ = try? results.decode(RPCReference?.self, at: 1)
    }
  }

  private final class Thing: RPCObject {
    static let methods = RPCMethods<Thing> {
      $0.register("add") { (_: Thing, amount: Int) in amount &+ 1 }
    }
  }

  private static func message(
    _ kind: UInt8, _ sequence: UInt8, status: UInt8? = nil, _ values: [RPCValue],
    raw: [UInt8] = []
  ) -> [UInt8] {
    var writer = LuatobinWriter()
    if let status { writer.buffer.append(status) }
    for value in values {
      writer.beginTopLevelValue()
      value.write(to: &writer)
    }
    let payload = writer.buffer.withUnsafeBytes { Array($0) } + raw
    let size = (0..<4).map { UInt8(truncatingIfNeeded: payload.count >> (24 - 8 * $0)) }
    return [kind, sequence] + size + payload
  }

  private static let reference: [UInt8] = [0x21, 0, 0, 0, 1]
  private static let own: [UInt8] = [0x3f, 0, 0, 0, 1]
  private static let cycle: [UInt8] = [5, 0, 1, 4, 0, 1, 0x61, 0x14, 0, 1]
  private static let shared: [UInt8] =
    [5, 0, 2, 7, 0, 0, 0, 1, 5, 0, 0, 7, 0, 0, 0, 2, 0x14, 0, 2]

  private let messages: [[UInt8]] = [
    message(0, 0, ["add", 1, 2]), message(0, 1, ["greet", "Horst"]),
    message(0, 2, ["math.sqrt", 4.5]),
    message(0, 3, ["nothing", nil, ["a": [1, [2]]]]), message(0, 4, ["__rpceval", "friends"]),
    message(0, 5, ["__rpcbuildexec", "return 1"]), message(0, 6, ["__rpcrunexec", 1]),
    message(0, 7, ["__rpcinvoke"], raw: own + [4, 0, 3, 97, 100, 100, 7, 0, 0, 0, 5]),
    message(0, 8, ["thing"]), message(0, 9, ["greet"], raw: cycle),
    message(0, 10, ["greet"], raw: shared), message(0, 11, ["take"], raw: reference),
    message(0, 12, ["greet"], raw: [6, 0, 2, 1, 2]), message(0, 13, ["__call0"]),
    message(0, 14, []), message(0, 15, ["later", "x"]),
    message(1, 0, status: 0, [1]), message(1, 1, status: 0, [["a": [1, 2]], 2.5]),
    message(1, 2, status: 1, ["an error"]), message(1, 3, status: 2, []),
    message(1, 4, status: 4, ["Cannot serialize result"]), message(1, 0, status: 9, []),
    message(1, 1, status: 0, [], raw: reference), message(1, 2, status: 0, [], raw: own),
    message(1, 200, status: 0, []),
  ]

  private func mutated(count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<count { bytes += messages.randomElement(using: &generator)! }
    for _ in 0..<Int.random(in: 0...4, using: &generator) {
      let place = generator.below(bytes.count)
      switch generator.below(4) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
      case 1 where bytes.count > 1: bytes.remove(at: place)
      case 2: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
      default: bytes.removeLast(min(bytes.count - 1, generator.below(9)))
      }
    }
    return bytes
  }

  private func makeConnection(_ channel: EmbeddedChannel) throws -> PeerConnection {
    var namespace = RPCNamespace()
    namespace.register("add") { (a: Int, b: Int) in a &+ b }
    namespace.register("greet") { (name: String) in "Hello, \(name)" }
    namespace.register("math.sqrt") { (x: Double) in x.squareRoot() }
    namespace.register("take") { (thing: RPCReference) in thing }
    let thing = Thing()
    namespace.register("thing") { RPCShared(thing) }
    namespace.variable("friends", initial: ["Horst"])
    var configuration = RPCPeer.Configuration.forTests
    configuration.logger.logLevel = .critical
    configuration.limits.frameBytes = 4096
    let connection = PeerConnection(channel, "test", namespace, ConnectionSettings(configuration))
    try channel.pipeline.syncOperations.addHandler(connection)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    return connection
  }

  @Test func aPeerReadsAnything() throws {
    var generator = SeededGenerator(seed: 9)
    var sawAnswers = 0
    for _ in 0..<5000 {
      let channel = EmbeddedChannel()
      let connection = try makeConnection(channel)
      let peer = connection.claimPeer()
      let ends = (0..<5).map { _ in NIOLockedValueBox(0) }
      for end in ends { connection.start(countedCall(end)) { $0.text("f") } }
      channel.embeddedEventLoop.run()
      var rest = mutated(count: 6, &generator)[...]
      while !rest.isEmpty, channel.isActive {
        let piece = rest.prefix(Int.random(in: 1...60, using: &generator))
        rest = rest.dropFirst(piece.count)
        try channel.writeInbound(ByteBuffer(bytes: piece))
        channel.embeddedEventLoop.run()
      }
      sawAnswers += try checkOutput(of: channel)
      _ = try? channel.finish()
      for end in ends { #expect(end.withLockedValue { $0 } == 1) }
      withExtendedLifetime(peer) {}
    }
    #expect(sawAnswers > 5000)
  }

  /// All that was sent is whole messages.
  ///
  /// - Returns: how many answers there are among them.
  private func checkOutput(of channel: EmbeddedChannel) throws -> Int {
    var sent: [UInt8] = []
    while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
      sent += buffer.readableBytesView
    }
    var answers = 0
    sent.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let message = UnsafeRawBufferPointer(rebasing: rest)
        guard case .message(let kind, _, let size) = LuaRPCFraming.next(in: message) else {
          Issue.record("\(Array(message)) is no message")
          return
        }
        if kind == .response {
          answers += 1
          #expect(0...4 ~= message[LuaRPCFraming.headerBytes])
        }
        rest = rest.dropFirst(LuaRPCFraming.headerBytes + size)
      }
    }
    return answers
  }

  @Test func pureNoise() throws {
    var generator = SeededGenerator(seed: 10)
    for _ in 0..<2000 {
      let channel = EmbeddedChannel()
      let connection = try makeConnection(channel)
      let ends = NIOLockedValueBox(0)
      connection.start(countedCall(ends)) { $0.text("f") }
      // A good type, so that not all ends with the first byte.
      var bytes: [UInt8] = [UInt8(generator.below(2)), 0, 0, 0, UInt8(generator.below(2))]
      for _ in 0..<generator.below(600) {
        bytes.append(
          generator.below(2) == 0
            ? [0, 1, 3, 4, 5, 6, 7, 0x14, 0x21, 0x3f].randomElement(using: &generator)!
            : UInt8.random(in: 0...255, using: &generator))
      }
      try channel.writeInbound(ByteBuffer(bytes: bytes))
      channel.embeddedEventLoop.run()
      _ = try checkOutput(of: channel)
      _ = try? channel.finish()
      #expect(ends.withLockedValue { $0 } == 1)
    }
  }
}
