import MilongaTestSupport
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import Testing

@testable import Tango

/// Calls of every kind behind each other, in pieces of any size, with any limit.
@Suite struct TangoMixtureTests {
  /// Each call is answered once, in the order of the calls. No more functions run than may, and none
  /// while a variable is written.
  @Test(arguments: 1...60) func anyMixture(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let limit = Int.random(in: 1...12, using: &generator)
    let runs = Runs()
    let channel = EmbeddedChannel()
    try channel.pipeline.syncOperations.addHandler(
      TangoServerHandler(server(runs, limit), channel.eventLoop))
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    let calls = (0..<300).map { Call(number: $0, &generator) }
    var rest = calls.map { "\($0.message.utf8.count)\n\($0.message)" }.joined().utf8[...]
    while !rest.isEmpty {
      let piece = rest.prefix(Int.random(in: 1...200, using: &generator))
      rest = rest.dropFirst(piece.count)
      try channel.writeInbound(ByteBuffer(bytes: piece))
      if Bool.random(using: &generator) { channel.embeddedEventLoop.run() }
    }
    var answers = ""
    let expected = calls.map { "\($0.answer.utf8.count)\n\($0.answer)" }.joined()
    for _ in 0..<10_000 where answers.utf8.count < expected.utf8.count {
      // Turns that are over go on a moment later.
      channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
      while let answer = try channel.readOutbound(as: ByteBuffer.self) {
        answers += String(buffer: answer)
      }
    }
    #expect(answers == expected)
    #expect(runs.highest <= limit)
    #expect(runs.whileWriting == 0)
    #expect(runs.count == 0)
    _ = try? channel.finish()
  }

  /// A peer that leaves at any moment: what it has called begins and ends, and nothing is left.
  @Test(arguments: 1...60) func leavingAtAnyMoment(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let runs = Runs()
    weak var weakHandler: TangoServerHandler?
    do {
      let channel = EmbeddedChannel()
      let handler = TangoServerHandler(
        server(runs, Int.random(in: 1...12, using: &generator)), channel.eventLoop)
      weakHandler = handler
      try channel.pipeline.syncOperations.addHandler(handler)
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      let calls = (0..<50).map { Call(number: $0, &generator) }
      let text = calls.map { "\($0.message.utf8.count)\n\($0.message)" }.joined()
      try channel.writeInbound(ByteBuffer(string: text))
      for _ in 0..<Int.random(in: 0...3, using: &generator) {
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
      }
      channel.close(promise: nil)
      for _ in 0..<10_000 where runs.begun < calls.filter(\.waits).count || runs.count > 0 {
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
      }
      #expect(runs.begun == calls.filter(\.waits).count)
      channel.embeddedEventLoop.advanceTime(by: .seconds(1))
      _ = try? channel.finish(acceptAlreadyClosed: true)
    }
    #expect(runs.count == 0)
    #expect(runs.whileWriting == 0)
    #expect(weakHandler == nil)
  }

  private func server(_ runs: Runs, _ limit: Int) -> TangoServer {
    var namespace = TangoNamespace()
    namespace.register("later") { (n: Int, turns: Int) async -> Int in
      runs.begin()
      for _ in 0..<turns { await Task.yield() }
      runs.end()
      return n
    }
    namespace.register("now") { (n: Int) in n }
    namespace.variable("number", get: { 7 }, set: { (_: Int) in runs.noteWrite() })
    var configuration = TangoServer.Configuration.forTests
    configuration.concurrency = .sideBySide(limit: limit)
    return TangoServer(namespace, configuration: configuration)
  }
}

/// One call, and its answer.
private struct Call {
  let message: String
  let answer: String
  let waits: Bool

  init(number: Int, _ generator: inout SeededGenerator) {
    let kind = Int.random(in: 0...9, using: &generator)
    waits = kind < 5
    switch kind {
    case 0..<5:
      message = #"{"later",\#(number),\#(Int.random(in: 0...20, using: &generator))}"#
      answer = "{true,\(number)}"
    case 5..<8:
      message = #"{"now",\#(number)}"#
      answer = "{true,\(number)}"
    case 8:
      message = #"{"number",\#(number)}"#
      answer = "{true}"
    default:
      message = #"{"number"}"#
      answer = "{true,7}"
    }
  }
}

/// Counts functions that run.
private final class Runs: Sendable {
  private let counts = NIOLockedValueBox((begun: 0, now: 0, highest: 0, whileWriting: 0))

  var begun: Int { counts.withLockedValue { $0.begun } }
  var count: Int { counts.withLockedValue { $0.now } }
  var highest: Int { counts.withLockedValue { $0.highest } }
  /// Functions that ran while a variable was written.
  var whileWriting: Int { counts.withLockedValue { $0.whileWriting } }

  func begin() {
    counts.withLockedValue { counts in
      counts.begun += 1
      counts.now += 1
      counts.highest = max(counts.highest, counts.now)
    }
  }

  func end() { counts.withLockedValue { $0.now -= 1 } }
  func noteWrite() { counts.withLockedValue { $0.whileWriting += $0.now } }
}
