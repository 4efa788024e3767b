import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// What an end does, so that a conversation can be done again.
enum Tango2Act {
  case receive([UInt8])
  case call(Tango2Frame.Flags, within: UInt32)
  case cancel(UInt32)
  case answer(UInt32, hasStream: Bool)
  case fail(UInt32)
  case items(UInt32, Int)
  case endStream(UInt32)
  case stop(UInt32)
  case consumed(UInt32, Int)
  case drain
}

/// Two sessions, joined by pipes that cut frames anywhere, and what both have done and seen. Calls,
/// calls within others, cancellations and streams go in both directions at random.
final class Tango2Model {
  /// A call as its caller sees it.
  struct Call {
    let id: UInt32
    let hasArguments: Bool
    var nextArgument = 0
    var nextResult = 0
    var hasResults = false
    var ends = 0
  }

  /// A call as the end that serves it sees it.
  struct Served {
    let caller: Int
    let depth: Int
    var nextArgument = 0
    var nextResult = 0
    var isStreaming = false
    var isStopped = false
  }

  let ends: [Tango2End]
  var calls: [[Int: Call]] = [[:], [:]]
  var served: [[UInt32: Served]] = [[:], [:]]
  /// Frames of items that were seen and not consumed yet.
  var unconsumed: [[(id: UInt32, bytes: Int)]] = [[], []]
  /// How many items were sent in whole streams, by their callers.
  var resultTotals: [Int: Int] = [:]
  var argumentTotals: [Int: Int] = [:]
  var depths: [Int: Int] = [:]
  var acts: [[Tango2Act]] = [[], []]
  var lastCaller = 0
  var isEnding = false
  var isLost = false
  /// Items in a frame.
  var batch = 1
  var count = Tango2ModelCount()

  init(_ client: Tango2Settings, _ server: Tango2Settings) {
    ends = [Tango2End(.client, settings: client), Tango2End(.server, settings: server)]
    // Ids begin anew soon.
    ends[0].session.nextID = .max - 40
    ends[1].session.nextID = .max - 41
  }

  var isDone: Bool {
    ends.allSatisfy { $0.session.isIdle && $0.sent.isEmpty && $0.received.isEmpty }
      && served.allSatisfy(\.isEmpty) && unconsumed.allSatisfy(\.isEmpty)
  }

  var unfinished: String {
    ends.map { "\($0.session.callsInFlight) calls, \($0.session.callsServed) served" }
      .joined(separator: "; ")
  }

  func act(_ generator: inout SeededGenerator) throws {
    let me = generator.below(2)
    switch generator.below(13) {
    case 0, 1: if !isEnding { begin(me, &generator) }
    case 2: giveUp(me, &generator)
    case 3, 4, 5: serve(me, &generator)
    case 6: sendArguments(me, &generator)
    case 7: consume(me)
    case 8, 9:
      // Some pieces are a few bytes, and end in the middle of a header.
      let most = generator.below(2) == 0 ? 40 : 40_000
      ends[me].send(to: ends[1 - me], generator.below(most))
    default: try receive(me)
    }
  }

  /// One of the ends leaves.
  func drain(_ me: Int) {
    acts[me].append(.drain)
    ends[me].write(.goaway, payload: fourBytes(ends[me].session.drain()))
  }

  // MARK: What an end does

  private func begin(_ me: Int, _ generator: inout SeededGenerator, within outer: UInt32? = nil) {
    var flags: Tango2Frame.Flags = []
    if generator.below(4) == 0 { flags.insert(.stream) }
    if generator.below(8) == 0 { flags.insert(.reference) }
    if outer != nil { flags.insert(.within) }
    acts[me].append(.call(flags, within: outer ?? 0))
    do throws(Tango2CallFailure) {
      let id = try ends[me].session.call(lastCaller + 1, flags, within: outer ?? 0)
      lastCaller += 1
      let options =
        (flags.contains(.reference) ? fourBytes(12) : []) + (outer.map { fourBytes($0) } ?? [])
      ends[me].write(.call, flags, id: id, payload: options + Array("\(lastCaller)".utf8))
      calls[me][lastCaller] = Call(id: id, hasArguments: flags.contains(.stream))
      depths[lastCaller] = outer.map { served[me][$0]!.depth + 1 } ?? 0
      count.calls += 1
      if outer != nil { count.within += 1 }
    } catch {
      let peer = ends[me].session.peerSettings
      switch error {
      case .tooMany(.calls(peer.calls)), .tooMany(.streams(peer.streams)): count.waits += 1
      case .tooDeep(peer.callsWithin): #expect(outer != nil)
      case .outerEnded: #expect(ends[me].session.isCancelled(outer!))
      case .noSettingsYet: #expect(!ends[me].session.hasPeerSettings)
      case .leaving: #expect(ends.contains { $0.session.isLeaving })
      default: Issue.record("\(error)")
      }
    }
  }

  /// Cancels a call, or stops the stream of an argument.
  private func giveUp(_ me: Int, _ generator: inout SeededGenerator) {
    guard generator.below(10) == 0 else { return }
    if generator.below(3) == 0 {
      guard let id = served[me].keys.sorted().randomElement(using: &generator) else { return }
      acts[me].append(.stop(id))
      guard ends[me].session.stopArguments(id) else { return }
      ends[me].write(.cancel, id: id)
      served[me][id]!.isStopped = true
      count.stopped += 1
      return
    }
    let open = calls[me].filter { $0.value.ends == 0 }.keys.sorted()
    guard let caller = open.randomElement(using: &generator) else { return }
    let id = calls[me][caller]!.id
    acts[me].append(.cancel(id))
    #expect(ends[me].session.cancel(id) == caller)
    ends[me].write(.cancel, id: id)
    end(me, caller)
    count.cancelled += 1
  }

  private func serve(_ me: Int, _ generator: inout SeededGenerator) {
    guard let id = served[me].keys.sorted().randomElement(using: &generator) else { return }
    let call = served[me][id]!
    if call.isStreaming { return sendResults(me, id, call, &generator) }
    switch generator.below(5) {
    case 0, 1:
      acts[me].append(.answer(id, hasStream: false))
      #expect(ends[me].session.answer(id) == .now)
      ends[me].write(.result, id: id, payload: Array("\(call.caller)".utf8))
      served[me][id] = nil
    case 2: fail(me, id, call)
    case 3: if call.depth < 20, !isEnding { begin(me, &generator, within: id) }
    default:
      acts[me].append(.answer(id, hasStream: true))
      switch ends[me].session.answer(id, hasStream: true) {
      case .now:
        ends[me].write(.result, .stream, id: id, payload: Array("\(call.caller)".utf8))
        served[me][id]!.isStreaming = true
      case .later: count.waits += 1
      case .never: fail(me, id, call)
      }
    }
  }

  private func fail(_ me: Int, _ id: UInt32, _ call: Served) {
    acts[me].append(.fail(id))
    #expect(ends[me].session.fail(id) == true)
    ends[me].write(.error, id: id, payload: Array("\(call.caller)".utf8))
    served[me][id] = nil
  }

  private func sendResults(
    _ me: Int, _ id: UInt32, _ call: Served, _ generator: inout SeededGenerator
  ) {
    let end = ends[me]
    if generator.below(isEnding ? 2 : 12) == 0 {
      if generator.below(4) == 0 { return fail(me, id, call) }
      acts[me].append(.endStream(id))
      #expect(end.session.endStream(id) == true)
      end.write(.end, id: id)
      resultTotals[call.caller] = call.nextResult
      served[me][id] = nil
      return
    }
    let payload = payload(call.nextResult, &generator)
    let before = end.session.credit(id)
    acts[me].append(.items(id, payload.count))
    switch end.session.sendItems(id, payloadBytes: payload.count) {
    case .now:
      #expect(end.session.credit(id) == before - Int(Tango2Stream.cost(payload.count)))
      end.write(.items, id: id, payload: payload)
      served[me][id]!.nextResult += batch
    case .later: #expect(before < Int(Tango2Stream.cost(payload.count)))
    case .never: #expect(end.session.isCancelled(id))
    }
  }

  private func sendArguments(_ me: Int, _ generator: inout SeededGenerator) {
    let open = calls[me].filter { $0.value.hasArguments && $0.value.ends == 0 }.keys.sorted()
    guard let caller = open.randomElement(using: &generator) else { return }
    let call = calls[me][caller]!
    if generator.below(10) == 0 {
      acts[me].append(.endStream(call.id))
      guard ends[me].session.endStream(call.id) else { return }
      let isFailed = generator.below(4) == 0
      ends[me].write(
        .end, isFailed ? .failed : [], id: call.id, payload: isFailed ? Array("e".utf8) : [])
      argumentTotals[caller] = call.nextArgument
      return
    }
    let payload = payload(call.nextArgument, &generator)
    acts[me].append(.items(call.id, payload.count))
    guard ends[me].session.sendItems(call.id, payloadBytes: payload.count) == .now else { return }
    ends[me].write(.items, id: call.id, payload: payload)
    calls[me][caller]!.nextArgument += batch
  }

  /// Items, which have their numbers and, if one is in a frame, sometimes many more bytes.
  private func payload(_ number: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    for number in number..<(number + batch) {
      let isLong = batch == 1 && generator.below(4) == 0
      let text = Array("\(number) ".utf8) + [UInt8](repeating: 120, count: isLong ? 60_000 : 2)
      var buffer = OutputBuffer()
      Tango2Items.append(length: text.count, to: &buffer)
      bytes += buffer.contents + text
    }
    return bytes
  }

  private func consume(_ me: Int) {
    guard !unconsumed[me].isEmpty else { return }
    let (id, payloadBytes) = unconsumed[me].removeFirst()
    acts[me].append(.consumed(id, payloadBytes))
    guard let credit = ends[me].session.consumed(id, payloadBytes: payloadBytes) else { return }
    ends[me].write(.credit, id: id, payload: fourBytes(credit))
  }

  /// One call of the client, with a stream of so many results.
  func stream(items: Int, _ generator: inout SeededGenerator) throws {
    func exchange() throws {
      for me in 0...1 {
        ends[me].send(to: ends[1 - me], 1 + generator.below(40_000))
        try receive(1 - me)
      }
    }
    while !ends.allSatisfy(\.session.hasPeerSettings) { try exchange() }
    let id = try ends[0].session.call(1)
    (calls[0][1], depths[1]) = (Call(id: id, hasArguments: false), 0)
    ends[0].write(.call, id: id, payload: Array("1".utf8))
    while served[1][id] == nil { try exchange() }
    #expect(ends[1].session.answer(id, hasStream: true) == .now)
    ends[1].write(.result, .stream, id: id, payload: Array("1".utf8))
    while let call = served[1][id], call.nextResult < items {
      let payload = payload(call.nextResult, &generator)
      if ends[1].session.sendItems(id, payloadBytes: payload.count) == .now {
        ends[1].write(.items, id: id, payload: payload)
        served[1][id]!.nextResult += batch
      }
      try exchange()
      consume(0)
    }
    #expect(ends[1].session.endStream(id) == true)
    ends[1].write(.end, id: id)
    (resultTotals[1], served[1][id]) = (items, nil)
    while !isDone {
      try exchange()
      consume(0)
    }
  }

  /// The connection is lost: both ends tell the callers that wait.
  func lose() {
    isLost = true
    for me in 0...1 {
      let ended = ends[me].session.end()
      for call in ended.calls { end(me, call.caller) }
      #expect(Set(ended.served) == Set(served[me].keys))
      served[me] = [:]
      unconsumed[me] = []
      (ends[me].sent, ends[me].received) = ([], [])
    }
  }

  func end(_ me: Int, _ caller: Int) {
    calls[me][caller]!.ends += 1
    #expect(calls[me][caller]!.ends == 1)
  }

  func checkEnd() {
    #expect(calls.allSatisfy { $0.values.allSatisfy { $0.ends == 1 } })
    for end in ends {
      #expect(end.session.isIdle && end.session.arriving == 0 && end.session.departing == 0)
      #expect(end.session.callsOut == 0 && end.session.callsIn == 0)
      #expect(end.session.callsWithinOut == 0 && end.session.callsWithinIn == 0)
    }
  }
}

/// How much a model has done.
struct Tango2ModelCount {
  var calls = 0
  var within = 0
  var results = 0
  var errors = 0
  var cancelled = 0
  var stopped = 0
  var refused = 0
  var waits = 0
  var items = 0
  var streams = 0
}
