import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// Conversations with changed bytes: a session takes them, or says what is wrong.
@Suite("mutated conversations of tango/2")
struct Tango2FuzzTests {
  @Test func `no bytes break a session`() {
    var generator = SeededGenerator(for: "tango/2 fuzz")
    let golden = Tango2FrameTests.golden
    let all = golden.sorted { $0.key < $1.key }.map(\.value)
    // What a client may send at any time.
    let usual = [
      "call", "call-deadline", "call-metadata", "call-stream", "credit", "goaway", "ping", "pong",
      "release",
    ].map { golden[$0]! }
    var violations = 0
    var events = 0
    for _ in 0..<20_000 {
      let server = Tango2Session<Int>(.server)
      var input = golden["settings"]!
      for _ in 0...generator.below(6) {
        let frames = generator.below(8) == 0 ? all : usual
        input += frames.randomElement(using: &generator)!
      }
      if generator.below(8) > 0 { input = generator.mutated(input) }
      let outcome = run(server, input)
      violations += outcome.isViolation ? 1 : 0
      events += outcome.events
    }
    // Otherwise the mutations are too strong, or too weak.
    #expect(violations > 2000 && events > 30_000, "\(violations) violations, \(events) events")
  }

  /// Feeds the bytes to an end that has calls of its own in several states.
  private func run(
    _ session: consuming Tango2Session<Int>, _ input: [UInt8]
  ) -> (isViolation: Bool, events: Int) {
    var session = session
    var events = 0
    return input.withUnsafeBytes { bytes in
      var place = 0
      while true {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[place...])
        let (event, count) = session.next(in: rest)
        #expect(count <= rest.count)
        place += count
        switch event {
        case .incomplete(let needed):
          #expect(needed > 0)
          return (false, events)
        case .settings:
          for caller in 1...3 { _ = try? session.call(caller, hasStream: caller == 2) }
          _ = session.cancel(6)
        case .original: return (false, events)
        case .violation(let violation):
          #expect(!violation.description.isEmpty)
          return (true, events)
        case .call(let id, let call):
          for entry in call.metadata { #expect(!entry.name.isEmpty) }
          if id % 3 == 0 { _ = session.answer(id, hasStream: id % 2 == 1) }
        case .items(_, let id, _, let count), .argumentItems(let id, _, let count):
          _ = session.consumed(id, payloadBytes: count)
        default: break
        }
        events += 1
        #expect(session.callsServed <= Int(session.settings.calls))
      }
    }
  }
}
