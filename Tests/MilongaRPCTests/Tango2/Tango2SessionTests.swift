import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// What each frame does in each state.
@Suite("a session of tango/2")
struct Tango2SessionTests {
  let client: Tango2End
  let server: Tango2End

  init() { (client, server) = Tango2End.pair() }

  /// A call has arrived at the server.
  func call(
    _ caller: Int, _ flags: Tango2Frame.Flags = [], _ message: String = "f"
  ) throws -> UInt32 {
    let id = try client.session.call(caller, flags)
    client.write(.call, flags, id: id, payload: Array(message.utf8))
    client.send(to: server)
    #expect(server.next().hasPrefix("call \(id) \(message)"))
    return id
  }

  func answer(
    _ id: UInt32, _ kind: Tango2Frame.Kind, _ flags: Tango2Frame.Flags = [], _ payload: [UInt8] = []
  ) -> String {
    server.write(kind, flags, id: id, payload: payload)
    server.send(to: client)
    return client.next()
  }

  func expectIdle() {
    #expect(client.session.isIdle && server.session.isIdle)
    for session in [client.session, server.session] {
      #expect(session.arriving == 0 && session.departing == 0)
      #expect(session.callsOut == 0 && session.callsIn == 0)
      #expect(session.callsWithinOut == 0 && session.callsWithinIn == 0)
    }
    #expect(client.received.isEmpty && server.received.isEmpty)
  }

  @Test func `calls are answered in any order`() throws {
    let ids = try (1...3).map { try call($0) }
    #expect(ids == [1, 3, 5])
    for (caller, id) in [(2, ids[1]), (3, ids[2]), (1, ids[0])] {
      #expect(server.session.answer(id) == .now)
      #expect(answer(id, .result, [], Array("r".utf8)) == "result of \(caller): r")
    }
    expectIdle()
  }

  @Test func `a server calls its client with even ids`() throws {
    let id = try server.session.call(7, .reference)
    #expect(id == 2)
    server.write(.call, .reference, id: id, payload: [0, 0, 0, 12] + Array("f".utf8))
    server.send(to: client)
    #expect(client.next() == "call 2 f reference 12")
    #expect(client.session.fail(id) == true)
    client.write(.error, Tango2Refusal.raised.flags, id: id, payload: Array("boo".utf8))
    client.send(to: server)
    #expect(server.next() == "error of 7: raised boo")
    expectIdle()
  }

  @Test func `errors say why`() throws {
    for reason in Tango2Refusal.allCases {
      let id = try call(1)
      #expect(server.session.fail(id) == true)
      let retry = reason == .notCalled ? " (may retry)" : ""
      #expect(
        answer(id, .error, reason.flags, Array("x".utf8)) == "error of 1: \(reason) x\(retry)")
    }
    expectIdle()
  }

  @Test func `a cancelled call keeps its id until it is answered`() throws {
    let id = try call(1)
    #expect(client.session.cancel(id) == 1)
    #expect(client.session.cancel(id) == nil)
    client.write(.cancel, id: id)
    client.send(to: server)
    #expect(server.next() == "cancelled \(id)")
    #expect(server.session.isCancelled(id))
    #expect(client.session.callsInFlight == 1)
    #expect(server.session.fail(id) == true)
    #expect(answer(id, .error, Tango2Refusal.cancelled.flags, Array("e".utf8)) == "dropped e")
    expectIdle()
  }

  @Test func `an answer and a cancellation may meet`() throws {
    let id = try call(1)
    #expect(client.session.cancel(id) == 1)
    client.write(.cancel, id: id)
    #expect(server.session.answer(id) == .now)
    #expect(answer(id, .result, [], Array("r".utf8)) == "dropped r")
    client.send(to: server)
    #expect(server.next() == "nothing")
    expectIdle()
  }

  @Test func `a stream of results arrives in order and ends the call`() throws {
    let id = try call(4)
    #expect(server.session.answer(id, hasStream: true) == .now)
    #expect(server.session.answer(id, hasStream: true) == .never)
    #expect(answer(id, .result, .stream) == "stream \(id) of 4: ")
    for text in ["a", "b"] {
      #expect(server.session.sendItems(id, payloadBytes: 2) == .now)
      #expect(answer(id, .items, [], items(text)) == "items \(id) of 4: \(text) (2)")
    }
    #expect(server.session.endStream(id) == true)
    #expect(server.session.sendItems(id, payloadBytes: 1) == .never)
    #expect(answer(id, .end) == "end of 4")
    expectIdle()
  }

  @Test func `a stream may fail in its middle`() throws {
    let id = try call(4)
    #expect(server.session.answer(id, hasStream: true) == .now)
    _ = answer(id, .result, .stream)
    #expect(server.session.fail(id) == true)
    #expect(answer(id, .error, Tango2Refusal.raised.flags) == "error of 4: raised ")
    expectIdle()
  }

  @Test func `a sender waits for credit, and a long item costs half of the window`() throws {
    let id = try call(4)
    let half = Int(Tango2Stream.most)
    let long = item(10 * half)
    #expect(server.session.answer(id, hasStream: true) == .now)
    _ = answer(id, .result, .stream)
    #expect(server.session.sendItems(id, payloadBytes: long.count) == .now)
    #expect(server.session.sendItems(id, payloadBytes: half - 10) == .now)
    #expect(server.session.sendItems(id, payloadBytes: 11) == .later)
    #expect(server.session.credit(id) == 10)
    #expect(answer(id, .items, [], long).hasPrefix("items"))
    let given = client.session.consumed(id, payloadBytes: long.count)
    #expect(given == Tango2Stream.most)
    client.write(
      .credit, id: id, payload: withUnsafeBytes(of: Tango2Stream.most.bigEndian, Array.init))
    client.send(to: server)
    #expect(server.next() == "credit \(id)")
    #expect(server.session.credit(id) == half + 10)
    #expect(server.session.sendItems(id, payloadBytes: long.count) == .now)
  }

  /// Whatever the sizes are, a receiver that consumes all gives enough for the next item.
  @Test func `no sender waits for ever`() {
    var generator = SeededGenerator(for: "tango/2 credit")
    for _ in 0..<200 {
      var sending = Tango2Sending(window: Tango2Stream.leastWindow)
      var receiving = Tango2Receiving(window: Tango2Stream.leastWindow)
      for _ in 0..<300 {
        let bytes = generator.below(generator.below(2) == 0 ? 100 : 100_000)
        #expect(sending.send(bytes) == true, "\(bytes) bytes, \(sending.credit) left")
        #expect(receiving.receive(bytes) == true)
        if let credit = receiving.consume(bytes) { #expect(sending.take(credit) == true) }
      }
    }
  }

  @Test func `credit is given back in large pieces`() throws {
    let id = try call(4)
    #expect(server.session.answer(id, hasStream: true) == .now)
    _ = answer(id, .result, .stream)
    let piece = item(1000)
    var credits: [UInt32] = []
    for _ in 0..<40 {
      #expect(server.session.sendItems(id, payloadBytes: 1000) == .now)
      #expect(answer(id, .items, [], piece).hasPrefix("items"))
      if let credit = client.session.consumed(id, payloadBytes: 1000) { credits.append(credit) }
    }
    #expect(credits == [33_000])
  }

  @Test func `more than there was credit for is a violation`() throws {
    let id = try call(4)
    #expect(server.session.answer(id, hasStream: true) == .now)
    _ = answer(id, .result, .stream)
    let half = item(Int(Tango2Stream.most))
    #expect(answer(id, .items, [], half).hasPrefix("items"))
    #expect(answer(id, .items, [], half).hasPrefix("items"))
    #expect(answer(id, .items, [], items("x")) == "violation: \(Tango2Violation.beyondCredit(id))")
  }

  @Test func `cancelling a stream stops it, and its last frame frees the id`() throws {
    let id = try call(4)
    #expect(server.session.answer(id, hasStream: true) == .now)
    _ = answer(id, .result, .stream)
    #expect(client.session.cancel(id) == 4)
    #expect(answer(id, .items, [], items("x")) == "dropped items x")
    #expect(client.session.consumed(id, payloadBytes: 1) == nil)
    client.write(.cancel, id: id)
    client.send(to: server)
    #expect(server.next() == "cancelled \(id)")
    #expect(server.session.sendItems(id, payloadBytes: 1) == .never)
    #expect(server.session.endStream(id) == true)
    #expect(answer(id, .end) == "nothing")
    expectIdle()
  }

  @Test func `an argument may be a stream`() throws {
    let id = try call(4, .stream)
    #expect(client.session.sendItems(id, payloadBytes: 2) == .now)
    client.write(.items, id: id, payload: items("a"))
    #expect(client.session.endStream(id) == true)
    #expect(client.session.endStream(id) == false)
    client.write(.end, id: id)
    client.send(to: server)
    #expect(server.next() == "argument items \(id): a (2)")
    #expect(server.next() == "argument end \(id)")
    #expect(server.session.answer(id) == .now)
    #expect(answer(id, .result) == "result of 4: ")
    expectIdle()
  }

  @Test func `an answer ends the stream of arguments, too`() throws {
    let id = try call(4, .stream)
    client.write(.items, id: id, payload: items("a"))
    #expect(server.session.answer(id) == .now)
    #expect(answer(id, .result) == "result of 4: ")
    #expect(client.session.sendItems(id, payloadBytes: 1) == .never)
    client.send(to: server)
    #expect(server.next() == "dropped items a")
    expectIdle()
  }

  @Test func `a function may stop its argument's stream`() throws {
    let id = try call(4, .stream)
    #expect(server.session.stopArguments(id) == true)
    #expect(server.session.stopArguments(id) == false)
    client.write(.items, id: id, payload: items("a"))
    client.send(to: server)
    #expect(server.next() == "dropped items a")
    server.write(.cancel, id: id)
    server.send(to: client)
    #expect(client.next() == "arguments unwanted \(id)")
    #expect(client.session.sendItems(id, payloadBytes: 1) == .never)
    #expect(client.session.endStream(id) == false)
    client.write(.end, id: id)
    client.send(to: server)
    #expect(server.next() == "nothing")
    #expect(server.session.arriving == 0 && client.session.departing == 0)
    #expect(server.session.answer(id) == .now)
    #expect(answer(id, .result) == "result of 4: ")
    expectIdle()
  }

  @Test func `an argument's stream may fail`() throws {
    let id = try call(4, .stream)
    #expect(client.session.endStream(id) == true)
    client.write(.end, .failed, id: id, payload: Array("boo".utf8))
    client.send(to: server)
    #expect(server.next() == "argument end \(id) failed boo")
    #expect(server.session.answer(id, hasStream: true) == .now)
    _ = answer(id, .result, .stream)
    #expect(answer(id, .end, .failed, [1]) == "violation: \(Tango2Violation.malformed(.end))")
  }

  @Test func `answers of the original's wire come until all are there`() {
    let client = Tango2End(.client, originals: 2)
    client.received = Array("4\n".utf8)
    #expect(client.next() == "original")
    client.session.takeOriginal()
    client.received = Tango2FrameTests.golden["settings"]! + Array("4\n".utf8)
    #expect(client.next() == "settings" && !client.session.isIdle)
    #expect(client.next() == "original")
    client.session.takeOriginal()
    #expect(client.next() == "violation: \(Tango2Violation.original)")
    server.received = Array("4\n".utf8)
    #expect(server.next() == "violation: \(Tango2Violation.original)")
  }

  @Test func `the end of the connection tells who waits`() throws {
    let ids = try (1...3).map { try call($0) }
    #expect(client.session.cancel(ids[1]) == 2)
    #expect(Set(client.session.end().calls.map(\.caller)) == [1, 3])
    #expect(Set(server.session.end().served) == Set(ids))
    expectIdle()
  }

  @Test func `ids begin anew when there are no more`() throws {
    client.session.nextID = .max - 2
    let ids = [try client.session.call(1), try client.session.call(2), try client.session.call(3)]
    #expect(ids == [.max - 2, .max, 1])
    client.session.nextID = .max
    #expect(try client.session.call(4) == 3)
  }

  @Test(arguments: [
    ("result", Tango2Violation.noCall(.result, 1)), ("error", .noCall(.error, 1)),
    ("items", .noCall(.items, 1)), ("end", .noCall(.end, 1)), ("call", .callID(1)),
    ("settings", .again(.settings)),
  ])
  func `what belongs to no call is a violation`(_ name: String, _ violation: Tango2Violation) {
    client.received += Tango2FrameTests.golden[name]!
    #expect(client.next() == "violation: \(violation)")
  }

  @Test func `nothing comes before the settings`() {
    let end = Tango2End(.server)
    #expect(throws: Tango2CallFailure.noSettingsYet) { try end.session.call(1) }
    end.received = Tango2FrameTests.golden["call"]!
    #expect(end.next() == "violation: \(Tango2Violation.noSettings(.call))")
    end.received = Array("12\n".utf8)
    #expect(end.next() == "original")
  }

  @Test func `settings that are not known are passed over`() {
    let end = Tango2End(.server)
    end.write(.settings, payload: [1, 0, 0, 0, 9, 200, 1, 2, 3, 4])
    end.received = Array(end.sent.suffix(20))
    #expect(end.next() == "settings")
    #expect(end.session.peerSettings.calls == 9)
    end.session = Tango2Session(.server)
    end.write(.settings, payload: [1, 0, 0, 0])
    end.received = Array(end.sent.suffix(14))
    #expect(end.next() == "violation: \(Tango2Violation.malformed(.settings))")
  }

  @Test func `credit must be some, and fit`() throws {
    let id = try call(4)
    #expect(server.session.answer(id, hasStream: true) == .now)
    for bytes in [[0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF]] as [[UInt8]] {
      client.write(.credit, id: id, payload: bytes)
      client.send(to: server)
      #expect(server.next() == "violation: \(Tango2Violation.badCredit(id))")
      server.received = []
    }
  }
}
