import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// What each frame does in each state.
@Suite("a session of tango/2")
struct Tango2SessionTests {
  private let client: Tango2End
  private let server: Tango2End

  init() { (client, server) = Tango2End.pair() }

  /// A call has arrived at the server.
  private func call(
    _ caller: Int, _ flags: Tango2Frame.Flags = [], _ message: String = "f"
  ) throws -> UInt32 {
    let id = try client.session.call(caller, hasStream: flags.contains(.stream))
    client.write(.call, flags, id: id, payload: Array(message.utf8))
    client.send(to: server)
    #expect(server.next().hasPrefix("call \(id) \(message)"))
    return id
  }

  private func answer(
    _ id: UInt32, _ kind: Tango2Frame.Kind, _ flags: Tango2Frame.Flags = [], _ payload: [UInt8] = []
  ) -> String {
    server.write(kind, flags, id: id, payload: payload)
    server.send(to: client)
    return client.next()
  }

  private func expectIdle() {
    #expect(client.session.isIdle && server.session.isIdle)
    #expect(client.session.arriving == 0 && server.session.arriving == 0)
    #expect(client.received.isEmpty && server.received.isEmpty)
  }

  @Test func `calls are answered in any order`() throws {
    let ids = try (1...3).map { try call($0) }
    #expect(ids == [1, 3, 5])
    for (caller, id) in [(2, ids[1]), (3, ids[2]), (1, ids[0])] {
      #expect(server.session.answer(id) == true)
      #expect(answer(id, .result, [], Array("r".utf8)) == "result of \(caller): r")
    }
    expectIdle()
  }

  @Test func `a server calls its client with even ids`() throws {
    let id = try server.session.call(7)
    #expect(id == 2)
    server.write(.call, .reference, id: id, payload: Array("12".utf8))
    server.send(to: client)
    #expect(client.next() == "call 2 12 reference")
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
      #expect(answer(id, .error, reason.flags, Array("x".utf8)) == "error of 1: \(reason) x")
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
    #expect(server.session.answer(id) == true)
    #expect(answer(id, .result, [], Array("r".utf8)) == "dropped r")
    client.send(to: server)
    #expect(server.next() == "nothing")
    expectIdle()
  }

  @Test func `a stream of results arrives in order and ends the call`() throws {
    let id = try call(4)
    #expect(server.session.answer(id, hasStream: true) == true)
    #expect(server.session.answer(id, hasStream: true) == false)
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
    #expect(server.session.answer(id, hasStream: true) == true)
    _ = answer(id, .result, .stream)
    #expect(server.session.fail(id) == true)
    #expect(answer(id, .error, Tango2Refusal.raised.flags) == "error of 4: raised ")
    expectIdle()
  }

  @Test func `a sender waits for credit, and a long item costs half of the window`() throws {
    let id = try call(4)
    let half = Int(Tango2Stream.half)
    let long = item(10 * half)
    #expect(server.session.answer(id, hasStream: true) == true)
    _ = answer(id, .result, .stream)
    #expect(server.session.sendItems(id, payloadBytes: long.count) == .now)
    #expect(server.session.sendItems(id, payloadBytes: half - 10) == .now)
    #expect(server.session.sendItems(id, payloadBytes: 11) == .later)
    #expect(server.session.credit(id) == 10)
    #expect(answer(id, .items, [], long).hasPrefix("items"))
    let given = client.session.consumed(id, payloadBytes: long.count)
    #expect(given == Tango2Stream.half)
    client.write(
      .credit, id: id, payload: withUnsafeBytes(of: Tango2Stream.half.bigEndian, Array.init))
    client.send(to: server)
    #expect(server.next() == "credit \(id)")
    #expect(server.session.credit(id) == half + 10)
    #expect(server.session.sendItems(id, payloadBytes: long.count) == .now)
  }

  /// Whatever the sizes are, a receiver that consumes all gives enough for the next item.
  @Test func `no sender waits for ever`() {
    var generator = SeededGenerator(for: "tango/2 credit")
    for _ in 0..<200 {
      var sending = Tango2Sending()
      var receiving = Tango2Receiving()
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
    #expect(server.session.answer(id, hasStream: true) == true)
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
    #expect(server.session.answer(id, hasStream: true) == true)
    _ = answer(id, .result, .stream)
    let half = item(Int(Tango2Stream.half))
    #expect(answer(id, .items, [], half).hasPrefix("items"))
    #expect(answer(id, .items, [], half).hasPrefix("items"))
    #expect(answer(id, .items, [], items("x")) == "violation: \(Tango2Violation.beyondCredit(id))")
  }

  @Test func `cancelling a stream stops it, and its last frame frees the id`() throws {
    let id = try call(4)
    #expect(server.session.answer(id, hasStream: true) == true)
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
    #expect(server.session.answer(id) == true)
    #expect(answer(id, .result) == "result of 4: ")
    expectIdle()
  }

  @Test func `an answer ends the stream of arguments, too`() throws {
    let id = try call(4, .stream)
    client.write(.items, id: id, payload: items("a"))
    #expect(server.session.answer(id) == true)
    #expect(answer(id, .result) == "result of 4: ")
    #expect(client.session.sendItems(id, payloadBytes: 1) == .never)
    client.send(to: server)
    #expect(server.next() == "dropped items a")
    expectIdle()
  }

  @Test func `too many calls are refused and others go on`() throws {
    var settings = Tango2Settings()
    settings.calls = 2
    let ends = Tango2End.pair(server: settings)
    #expect(ends.client.session.peerSettings.calls == 2)
    let ids = [try ends.client.session.call(1), try ends.client.session.call(2)]
    #expect(throws: Tango2Session<Int>.CallFailure.tooMany(limit: 2)) {
      try ends.client.session.call(3)
    }
    // One that does not know the limit.
    for id in ids + [5] { ends.client.write(.call, id: id) }
    ends.client.send(to: ends.server)
    #expect(ends.server.next() == "call 1 ")
    #expect(ends.server.next() == "call 3 ")
    #expect(ends.server.next() == "refused 5: more than 2 calls at a time")
    #expect(ends.server.session.answer(5) == false)
    #expect(ends.server.session.answer(1) == true)
  }

  @Test func `too many streams are cancelled, and long metadata are refused`() throws {
    var settings = Tango2Settings()
    settings.streams = 1
    settings.metadataBytes = 5
    let ends = Tango2End.pair(client: settings, server: settings)
    for caller in 1...2 {
      let id = try ends.client.session.call(caller)
      ends.client.write(.call, id: id)
      ends.client.send(to: ends.server)
      _ = ends.server.next()
      #expect(ends.server.session.answer(id, hasStream: true) == true)
      ends.server.write(.result, .stream, id: id)
      ends.server.send(to: ends.client)
    }
    #expect(ends.client.next() == "stream 1 of 1: ")
    #expect(ends.client.next() == "stream 3 of 2 refused: ")
    ends.client.write(.call, .metadata, id: 5, payload: [0, 6, 1, 97, 0, 2, 1, 2])
    ends.client.write(.call, .stream, id: 7)
    ends.client.write(.call, .stream, id: 9)
    ends.client.send(to: ends.server)
    #expect(ends.server.next() == "refused 5: metadata of 6 bytes, of at most 5")
    #expect(ends.server.next() == "call 7  stream")
    #expect(ends.server.next() == "refused 9: more than 1 streams at a time")
  }

  @Test func `an end that leaves takes no more calls and finishes those it has`() throws {
    let id = try call(1)
    server.session.drain()
    server.write(.goaway, payload: Array("restart".utf8))
    client.write(.call, id: 99)
    client.send(to: server)
    #expect(server.next() == "refused 99: \(Tango2CallRefusal.leaving)")
    server.send(to: client)
    #expect(client.next() == "goaway restart")
    #expect(throws: Tango2Session<Int>.CallFailure.leaving) { try client.session.call(2) }
    #expect(server.session.answer(id) == true)
    #expect(answer(id, .result) == "result of 1: ")
    expectIdle()
  }

  @Test func `the end of the connection tells who waits`() throws {
    let ids = try (1...3).map { try call($0) }
    #expect(client.session.cancel(ids[1]) == 2)
    #expect(Set(client.session.end().callers) == [1, 3])
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
    ("settings", .lateSettings),
  ])
  func `what belongs to no call is a violation`(_ name: String, _ violation: Tango2Violation) {
    client.received += Tango2FrameTests.golden[name]!
    #expect(client.next() == "violation: \(violation)")
  }

  @Test func `nothing comes before the settings`() {
    let end = Tango2End(.server)
    #expect(throws: Tango2Session<Int>.CallFailure.noSettingsYet) { try end.session.call(1) }
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
    #expect(server.session.answer(id, hasStream: true) == true)
    for bytes in [[0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF]] as [[UInt8]] {
      client.write(.credit, id: id, payload: bytes)
      client.send(to: server)
      #expect(server.next() == "violation: \(Tango2Violation.badCredit(id))")
      server.received = []
    }
  }
}
