import Foundation
import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// Conversations of the model with changed bytes: each end takes them, or says what is wrong.
@Suite("mutated conversations of tango/2")
struct Tango2FuzzTests {
  /// What one end has done in a conversation.
  private struct Side {
    let session: Tango2Session<Int>
    let acts: [Tango2Act]
  }

  /// Both sides of short conversations.
  private func conversations(_ generator: inout SeededGenerator) throws -> [Side] {
    var sides: [Side] = []
    for number in 0..<100 {
      var settings = Tango2Settings()
      settings.calls = 6
      settings.streams = 4
      let model = Tango2Model(settings, settings)
      let sessions = model.ends.map(\.session)
      for step in 0..<400 {
        try model.act(&generator)
        if step == 250, number % 5 == 0 { model.drain(number % 2) }
      }
      for me in 0...1 { sides.append(Side(session: sessions[me], acts: model.acts[me])) }
    }
    return sides
  }

  @Test func `no bytes break a session`() throws {
    let environment = ProcessInfo.processInfo.environment
    let rounds = environment["MILONGA_FUZZ"].flatMap { Int($0) } ?? 20_000
    var generator = SeededGenerator(for: "tango/2 fuzz")
    let sides = try conversations(&generator)
    var violations = 0
    var events = 0
    for _ in 0..<rounds {
      let side = sides.randomElement(using: &generator)!
      let receives = side.acts.indices.filter {
        if case .receive = side.acts[$0] { true } else { false }
      }
      var acts = side.acts
      let place = receives.randomElement(using: &generator)!
      guard case .receive(let bytes) = acts[place] else { continue }
      switch generator.below(8) {
      case 0: acts.remove(at: place)
      case 1: acts.insert(acts[place], at: place)
      case 2: acts.swapAt(place, receives.randomElement(using: &generator)!)
      default: acts[place] = .receive(generator.mutated(bytes))
      }
      let outcome = run(side.session, acts)
      violations += outcome.isViolation ? 1 : 0
      events += outcome.events
    }
    // Otherwise the mutations are too strong, or too weak.
    #expect(violations > rounds / 10 && violations < rounds * 9 / 10, "\(violations) violations")
    #expect(events > 5 * rounds, "\(events) events")
  }

  private func run(
    _ start: Tango2Session<Int>, _ acts: [Tango2Act]
  ) -> (isViolation: Bool, events: Int) {
    var session = start
    var received: [UInt8] = []
    var events = 0
    var isViolation = false
    var caller = 0
    for act in acts where !isViolation {
      if case .receive(let bytes) = act {
        received += bytes
        isViolation = take(&received, &session, &events)
      } else {
        caller += 1
        perform(act, caller, &session)
      }
    }
    check(session)
    let ended = session.end()
    #expect(Set(ended.calls.map(\.caller)).count == ended.calls.count && session.isIdle)
    return (isViolation, events)
  }

  private func perform(_ act: Tango2Act, _ caller: Int, _ session: inout Tango2Session<Int>) {
    switch act {
    case .receive: break
    case .call(let flags, let within): _ = try? session.call(caller, flags, within: within)
    case .cancel(let id): _ = session.cancel(id)
    case .answer(let id, let hasStream): _ = session.answer(id, hasStream: hasStream)
    case .fail(let id): _ = session.fail(id)
    case .items(let id, let bytes): _ = session.sendItems(id, payloadBytes: bytes)
    case .endStream(let id): _ = session.endStream(id)
    case .stop(let id): _ = session.stopArguments(id)
    case .consumed(let id, let bytes): _ = session.consumed(id, payloadBytes: bytes)
    case .drain: _ = session.drain()
    }
  }

  /// Takes what there is; true after a violation.
  private func take(
    _ received: inout [UInt8], _ session: inout Tango2Session<Int>, _ events: inout Int
  ) -> Bool {
    var place = 0
    let isViolation = received.withUnsafeBytes { bytes in
      while true {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[place...])
        let (event, count) = session.next(in: rest)
        if count > rest.count { Issue.record("\(count) bytes of \(rest.count)") }
        place += count
        switch event {
        case .incomplete(let needed):
          if needed < 1 { Issue.record("needs \(needed)") }
          return false
        case .original: return false
        case .violation(let violation):
          if violation.description.isEmpty { Issue.record("no text") }
          return true
        case .call(_, let call):
          for entry in call.metadata where entry.name.isEmpty { Issue.record("no name") }
          _ = Tango2Reference.numbers(in: call.message)
        default: break
        }
        events += 1
      }
    }
    received.removeFirst(place)
    return isViolation
  }

  /// The other end cannot make this one hold more than the settings say.
  private func check(_ session: Tango2Session<Int>) {
    let most = session.settings
    let isWithinLimits =
      session.callsIn <= most.calls && session.callsWithinIn <= most.callsWithin
      && session.arriving <= most.streams && session.departing <= session.peerSettings.streams
      && session.callsServed == Int(session.callsIn + session.callsWithinIn)
      && session.callsInFlight == Int(session.callsOut + session.callsWithinOut)
    if !isWithinLimits { Issue.record("beyond the limits") }
  }
}
