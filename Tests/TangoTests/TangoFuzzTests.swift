import MilongaRPC
import MilongaTestSupport
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import RPCRuntime
import Testing

@testable import Tango

/// Whatever the peer sends: no crash, whole answers, and the end of a connection that cannot be
/// trusted.
@Suite struct TangoFuzzTests {
  private let messages = [
    #"{"add",1,2}"#, #"{"greet","Horst"}"#, #"{"friends",{"a","b"}}"#, #"{"friends"}"#,
    #"{"math.sqrt",4.5}"#, #"{"tango.ref_create","list","x"}"#, #"{"tango.ref_call","0","add"}"#,
    #"{"tango.ref_release","00000000000000000000000000000000"}"#, #"{"nothing",nil,{[1]={{}}}}"#,
    #"{"later","\0\255\n"}"#,
  ]

  private func mutated(
    _ messages: [String], count: Int, _ generator: inout SeededGenerator
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<count {
      let body = Array(messages.randomElement(using: &generator)!.utf8)
      bytes += Array("\(body.count)\n".utf8) + body
    }
    for _ in 0..<Int.random(in: 0...4, using: &generator) {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0...3, using: &generator) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
      case 1: bytes.remove(at: place)
      case 2: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
      default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0...8, using: &generator)))
      }
    }
    return bytes
  }

  /// Hands the bytes to the channel in pieces, as long as it is open.
  private func feed(
    _ bytes: [UInt8], to channel: EmbeddedChannel, _ generator: inout SeededGenerator
  ) throws {
    var rest = bytes[...]
    while !rest.isEmpty, channel.isActive {
      let piece = rest.prefix(Int.random(in: 1...40, using: &generator))
      rest = rest.dropFirst(piece.count)
      try channel.writeInbound(ByteBuffer(bytes: piece))
      channel.embeddedEventLoop.run()
    }
  }

  @Test func aServerReadsAnything() throws {
    var namespace = TangoNamespace()
    namespace.register("add") { (a: Int, b: Int) in a &+ b }
    namespace.register("greet") { (name: String) in "Hello, \(name)" }
    namespace.register("math.sqrt") { (x: Double) in x.squareRoot() }
    namespace.variable("friends", initial: ["Horst"])
    var configuration = TangoServer.Configuration.forTests
    configuration.logger.logLevel = .critical
    configuration.limits.frameBytes = 4096
    let server = TangoServer(namespace, configuration: configuration)
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<5000 {
      let channel = EmbeddedChannel()
      try channel.pipeline.syncOperations.addHandler(
        TangoServerHandler(server, channel.eventLoop))
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      try feed(mutated(messages, count: 5, &generator), to: channel, &generator)
      var reader = FrameReader(maxBytes: 1 << 20)
      while let answer = try channel.readOutbound(as: ByteBuffer.self) {
        try reader.append(answer)
      }
      _ = try reader.takeFrames { answer in
        #expect(isMessage(answer))
        return .goOn
      }
      #expect(reader.count == 0)
      _ = try? channel.finish()
    }
  }

  private func isMessage(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var sink = MessageElements()
    do { try TangoText.readMessage(bytes, into: &sink) } catch { return false }
    guard case .boolean = sink[0] else { return false }
    return true
  }

  /// A call that counts its ends, and looks at its results.
  private func countedCall(_ ends: NIOLockedValueBox<Int>) -> PendingCall {
    PendingCall(name: "f") { outcome in
      ends.withLockedValue { $0 += 1 }
      guard let results = try? outcome.get() else { return }
      for index in 1..<results.count + 1 { _ = results.value(at: index) }
      _ = try? results.decode([String: [Int]].self, at: 1)
    }
  }

  @Test func aClientReadsAnything() throws {
    let answers = [
      "{true}", "{true,1}", #"{true,"x",{a={1,2}},nil,4.5}"#, #"{false,"an error"}"#,
      "{false,{code=7}}",
      "{[2]=1,true}", #"{true,{["a"]={1,2,3}}}"#,
    ]
    var generator = SeededGenerator(seed: 8)
    for _ in 0..<5000 {
      let channel = EmbeddedChannel()
      let connection = TangoConnection(
        peer: "test", eventLoop: channel.eventLoop, limits: RPCLimits())
      try channel.pipeline.syncOperations.addHandler(connection)
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      let ends = (0..<5).map { _ in NIOLockedValueBox(0) }
      for end in ends { connection.start(countedCall(end), []) }
      channel.embeddedEventLoop.run()
      try feed(mutated(answers, count: 5, &generator), to: channel, &generator)
      _ = try? channel.finish()
      for end in ends { #expect(end.withLockedValue { $0 } == 1) }
    }
  }
}
