import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// Two sessions, joined by pipes that cut frames anywhere, and a model of what both ends may see.
/// Calls, cancellations and streams go in both directions at random.
@Suite("two ends of tango/2")
struct Tango2ModelTests {
  @Test(arguments: 0..<20)
  func `every call ends once, every stream is whole, and nothing is left`(_ number: Int) throws {
    var generator = SeededGenerator(for: "tango/2 model \(number)")
    var settings = Tango2Settings()
    settings.calls = 12
    settings.streams = 5
    let model = Tango2Model(settings)
    for _ in 0..<4000 { try model.act(&generator) }
    model.isEnding = true
    for _ in 0..<100_000 where !model.isDone { try model.act(&generator) }
    #expect(model.isDone, "\(model.unfinished)")
    model.checkEnd()
  }
}

/// What the two ends have done and seen.
private final class Tango2Model {
  /// A call as its caller sees it.
  struct Call {
    let hasArguments: Bool
    var nextArgument = 0
    var nextResult = 0
    var hasResults = false
    var ends = 0
    var isCancelled = false
    var mayRetry = false
  }

  /// A call as the end that serves it sees it.
  struct Served {
    let caller: Int
    var nextArgument = 0
    var nextResult = 0
    var isStreaming = false
  }

  let ends: [Tango2End]
  var calls: [[Int: Call]] = [[:], [:]]
  var ids: [[Int: UInt32]] = [[:], [:]]
  var served: [[UInt32: Served]] = [[:], [:]]
  /// Frames of items that were seen and not consumed yet.
  var unconsumed: [[(id: UInt32, bytes: Int)]] = [[], []]
  var lastCaller = 0
  var isEnding = false
  var count = (calls: 0, results: 0, errors: 0, cancelled: 0, refused: 0, items: 0, streams: 0)

  init(_ settings: Tango2Settings) {
    ends = [Tango2End(.client, settings: settings), Tango2End(.server, settings: settings)]
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
    switch generator.below(12) {
    case 0, 1: if !isEnding { begin(me, &generator) }
    case 2: cancel(me, &generator)
    case 3, 4: serve(me, &generator)
    case 5: sendArguments(me, &generator)
    case 6: consume(me)
    case 7, 8:
      // Some pieces are a few bytes, and end in the middle of a header.
      let most = generator.below(2) == 0 ? 40 : 40_000
      ends[me].send(to: ends[1 - me], generator.below(most))
    default: try receive(me)
    }
  }

  // MARK: What an end does

  private func begin(_ me: Int, _ generator: inout SeededGenerator) {
    let hasArguments = generator.below(4) == 0
    lastCaller += 1
    let caller = lastCaller
    do {
      let id = try ends[me].session.call(caller, hasStream: hasArguments)
      ends[me].write(.call, hasArguments ? .stream : [], id: id, payload: Array("\(caller)".utf8))
      calls[me][caller] = Call(hasArguments: hasArguments)
      ids[me][caller] = id
      count.calls += 1
    } catch {
      #expect(
        error == .tooMany(limit: ends[me].session.peerSettings.calls) || error == .noSettingsYet)
    }
  }

  private func cancel(_ me: Int, _ generator: inout SeededGenerator) {
    guard generator.below(10) == 0,
      let caller = calls[me].filter({ $0.value.ends == 0 }).keys.sorted().randomElement(
        using: &generator)
    else { return }
    let id = ids[me][caller]!
    #expect(ends[me].session.cancel(id) == caller)
    ends[me].write(.cancel, id: id)
    calls[me][caller]!.isCancelled = true
    end(me, caller)
    count.cancelled += 1
  }

  private func serve(_ me: Int, _ generator: inout SeededGenerator) {
    guard let id = served[me].keys.sorted().randomElement(using: &generator) else { return }
    var call = served[me][id]!
    let end = ends[me]
    if !call.isStreaming {
      switch generator.below(4) {
      case 0, 1:
        #expect(end.session.answer(id) == true)
        end.write(.result, id: id, payload: Array("\(call.caller)".utf8))
        served[me][id] = nil
      case 2:
        #expect(end.session.fail(id) == true)
        end.write(.error, Tango2Refusal.raised.flags, id: id, payload: Array("\(call.caller)".utf8))
        served[me][id] = nil
      default:
        #expect(end.session.answer(id, hasStream: true) == true)
        end.write(.result, .stream, id: id, payload: Array("\(call.caller)".utf8))
        call.isStreaming = true
        served[me][id] = call
      }
      return
    }
    if generator.below(isEnding ? 2 : 12) == 0 {
      #expect(end.session.endStream(id) == true)
      end.write(.end, id: id)
      served[me][id] = nil
      return
    }
    let payload = payload(call.nextResult, &generator)
    let before = end.session.credit(id)
    switch end.session.sendItems(id, payloadBytes: payload.count) {
    case .now:
      #expect(end.session.credit(id) == before - Int(Tango2Stream.cost(payload.count)))
      end.write(.items, id: id, payload: payload)
      served[me][id]!.nextResult += 1
    case .later: #expect(before < Int(Tango2Stream.cost(payload.count)))
    case .never: #expect(end.session.isCancelled(id))
    }
  }

  private func sendArguments(_ me: Int, _ generator: inout SeededGenerator) {
    let open = calls[me].filter { $0.value.hasArguments && $0.value.ends == 0 }
    guard let caller = open.keys.sorted().randomElement(using: &generator) else { return }
    let id = ids[me][caller]!
    if generator.below(10) == 0 {
      if ends[me].session.endStream(id) { ends[me].write(.end, id: id) }
      return
    }
    let payload = payload(open[caller]!.nextArgument, &generator)
    guard ends[me].session.sendItems(id, payloadBytes: payload.count) == .now else { return }
    ends[me].write(.items, id: id, payload: payload)
    calls[me][caller]!.nextArgument += 1
  }

  /// One item, which has its number and some more bytes.
  private func payload(_ number: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    let text = "\(number) " + String(repeating: "x", count: generator.below(4) == 0 ? 60_000 : 20)
    var buffer = OutputBuffer()
    Tango2Items.append(length: text.utf8.count, to: &buffer)
    return buffer.contents + Array(text.utf8)
  }

  private func consume(_ me: Int) {
    guard !unconsumed[me].isEmpty else { return }
    let (id, bytes) = unconsumed[me].removeFirst()
    guard let credit = ends[me].session.consumed(id, payloadBytes: bytes) else { return }
    ends[me].write(.credit, id: id, payload: withUnsafeBytes(of: credit.bigEndian, Array.init))
  }

  // MARK: What an end sees

  private func receive(_ me: Int) throws {
    let received = ends[me].received
    let taken = try received.withUnsafeBytes { bytes in
      let (event, count) = ends[me].session.next(in: bytes)
      try see(me, event)
      return count
    }
    ends[me].received.removeFirst(taken)
  }

  private func see(_ me: Int, _ event: Tango2Session<Int>.Event) throws {
    func number(_ bytes: UnsafeRawBufferPointer) throws -> Int {
      try #require(Int(String(decoding: bytes, as: UTF8.self)))
    }
    switch event {
    case .incomplete, .nothing, .dropped, .droppedItems, .settings, .credit: break
    case .call(let id, let call):
      #expect(served[me][id] == nil)
      served[me][id] = Served(caller: try number(call.message))
    case .refused(let id, _):
      ends[me].write(.error, Tango2Refusal.notCalled.flags, id: id)
      count.refused += 1
    case .cancelled(let id): #expect(served[me][id] != nil)
    case .result(let caller, let message):
      #expect(try number(message) == caller && calls[me][caller]?.hasResults == false)
      end(me, caller)
      count.results += 1
    case .error(let caller, _, _):
      end(me, caller)
      count.errors += 1
    case .stream(let id, let caller, let message):
      #expect(try number(message) == caller && ids[me][caller] == id)
      calls[me][caller]!.hasResults = true
      count.streams += 1
    case .streamRefused(let id, let caller, _):
      ends[me].write(.cancel, id: id)
      end(me, caller)
    case .items(let caller, let id, let items, let bytes):
      #expect(ordinal(items) == calls[me][caller]!.nextResult && calls[me][caller]!.ends == 0)
      calls[me][caller]!.nextResult += 1
      unconsumed[me].append((id, bytes))
      count.items += 1
    case .end(let caller):
      #expect(calls[me][caller]!.hasResults)
      end(me, caller)
    case .argumentItems(let id, let items, let bytes):
      #expect(ordinal(items) == served[me][id]?.nextArgument)
      served[me][id]?.nextArgument += 1
      unconsumed[me].append((id, bytes))
    case .argumentEnd(let id): #expect(served[me][id] != nil)
    case .violation(let violation): Issue.record("\(violation)")
    case .original, .release, .ping, .pong, .goaway: Issue.record("not sent")
    }
  }

  private func ordinal(_ items: Tango2Items) -> Int? {
    let texts = items.map { String(decoding: $0.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self) }
    return texts.count == 1 ? Int(texts[0]) : nil
  }

  private func end(_ me: Int, _ caller: Int) {
    calls[me][caller]!.ends += 1
    #expect(calls[me][caller]!.ends == 1)
  }

  func checkEnd() {
    #expect(calls.allSatisfy { $0.values.allSatisfy { $0.ends == 1 } })
    #expect(ends.allSatisfy { $0.session.arriving == 0 })
    // Otherwise the model tests little.
    #expect(count.calls > 100 && count.results > 20 && count.errors > 10, "\(count)")
    #expect(count.cancelled > 10 && count.streams > 10 && count.items > 50, "\(count)")
  }
}
