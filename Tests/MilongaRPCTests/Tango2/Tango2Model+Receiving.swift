import Testing

@testable import MilongaRPC

// What an end sees.
extension Tango2Model {
  func receive(_ me: Int) throws {
    let received = ends[me].received
    let taken = try received.withUnsafeBytes { bytes in
      let (event, count) = ends[me].session.next(in: bytes)
      try see(me, event)
      return count
    }
    if taken > 0 { acts[me].append(.receive(Array(received[..<taken]))) }
    ends[me].received.removeFirst(taken)
  }

  private func number(_ bytes: UnsafeRawBufferPointer) throws -> Int {
    try #require(Int(String(decoding: bytes, as: UTF8.self)))
  }

  private func see(_ me: Int, _ event: Tango2Session<Int>.Event) throws {
    switch event {
    case .incomplete, .nothing, .dropped, .droppedItems, .settings, .credit, .goaway: break
    case .call(let id, let call):
      #expect(served[me][id] == nil)
      let caller = try number(call.message)
      served[me][id] = Served(caller: caller, depth: depths[caller]!)
    case .refused(let id, let refusal):
      ends[me].write(.error, refusal.reason.flags, id: id)
      count.refused += 1
    case .cancelled(let id): #expect(served[me][id] != nil)
    case .argumentItems(let id, let items, let bytes):
      #expect(served[me][id]?.isStopped == false)
      check(items, &served[me][id]!.nextArgument)
      unconsumed[me].append((id, bytes))
    case .argumentEnd(let id, _):
      let call = try #require(served[me][id])
      #expect(call.nextArgument == argumentTotals[call.caller])
    case .argumentsUnwanted(let id): ends[me].write(.end, id: id)
    case .violation(let violation): Issue.record("\(violation)")
    case .original, .release, .ping, .pong: Issue.record("not sent")
    default: try seeAnswer(me, event)
    }
  }

  private func seeAnswer(_ me: Int, _ event: Tango2Session<Int>.Event) throws {
    switch event {
    case .result(let caller, let message):
      #expect(try number(message) == caller && calls[me][caller]?.hasResults == false)
      end(me, caller)
      count.results += 1
    case .error(let caller, _, _, _):
      end(me, caller)
      count.errors += 1
    case .stream(let id, let caller, let message):
      #expect(try number(message) == caller && calls[me][caller]?.id == id)
      calls[me][caller]!.hasResults = true
      count.streams += 1
    case .items(let caller, let id, let items, let bytes):
      #expect(calls[me][caller]!.ends == 0)
      check(items, &calls[me][caller]!.nextResult)
      unconsumed[me].append((id, bytes))
      count.items += batch
    case .end(let caller):
      #expect(calls[me][caller]!.hasResults)
      #expect(calls[me][caller]!.nextResult == resultTotals[caller])
      end(me, caller)
    default: Issue.record("\(event)")
    }
  }

  /// The items are the next ones.
  private func check(_ items: Tango2Items, _ next: inout Int) {
    for item in items {
      var number = 0
      for byte in item.prefix(while: isDigit) { number = number * 10 + Int(byte - 48) }
      if number != next { Issue.record("item \(number) instead of \(next)") }
      next += 1
    }
  }
}
