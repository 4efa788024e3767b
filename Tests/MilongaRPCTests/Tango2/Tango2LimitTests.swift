import Testing

@testable import MilongaRPC

// Limits, calls within others, and leaving.
extension Tango2SessionTests {
  @Test func `an end opens no more calls than the other one takes`() throws {
    var settings = Tango2Settings()
    settings.calls = 2
    let ends = Tango2End.pair(server: settings)
    #expect(ends.client.session.peerSettings.calls == 2)
    let ids = [try ends.client.session.call(1), try ends.client.session.call(2)]
    #expect(throws: Tango2CallFailure.tooMany(.calls(2))) { try ends.client.session.call(3) }
    #expect(throws: Tango2CallFailure.tooMany(.calls(2))) {
      try ends.client.session.call(3, .reference)
    }
    #expect(Tango2CallFailure.tooMany(.calls(2)).isTemporary && !ends.client.session.hasRoomForCall)
    // A call that was cancelled counts until its last frame.
    #expect(ends.client.session.cancel(ids[1]) == 2)
    #expect(!ends.client.session.hasRoomForCall)
    for id in ids { ends.client.write(.call, id: id) }
    ends.client.send(to: ends.server)
    #expect(ends.server.next() == "call 1 " && ends.server.next() == "call 3 ")
    #expect(ends.server.session.answer(1) == .now)
    ends.server.write(.result, id: 1)
    ends.server.send(to: ends.client)
    #expect(ends.client.next() == "result of 1: ")
    #expect(ends.client.session.hasRoomForCall)
    // One that does not keep to it.
    for id in [7, 9] as [UInt32] { ends.client.write(.call, id: id) }
    ends.client.send(to: ends.server)
    #expect(ends.server.next() == "call 7 ")
    #expect(ends.server.next() == "violation: more than 2 calls at a time")
  }

  @Test func `an end that takes nothing says so`() {
    var settings = Tango2Settings()
    settings.calls = 0
    settings.streams = 0
    let ends = Tango2End.pair(client: settings)
    #expect(throws: Tango2CallFailure.servesNothing) { try ends.server.session.call(1) }
    #expect(throws: Tango2CallFailure.servesNothing) {
      try ends.server.session.call(1, .within, within: 1)
    }
    #expect(!Tango2CallFailure.servesNothing.isTemporary)
    ends.client.write(.call, id: 1)
    ends.client.send(to: ends.server)
    #expect(ends.server.next() == "call 1 ")
    #expect(ends.server.session.answer(1, hasStream: true) == .never)
  }

  @Test func `an end opens no more streams than the other one takes`() throws {
    var settings = Tango2Settings()
    settings.streams = 1
    let ends = Tango2End.pair(client: settings, server: settings)
    let (client, server) = (ends.client, ends.server)
    for caller in 1...2 { client.write(.call, id: try client.session.call(caller)) }
    client.send(to: server)
    _ = server.next()
    _ = server.next()
    #expect(server.session.answer(1, hasStream: true) == .now)
    #expect(server.session.answer(3, hasStream: true) == .later && !server.session.hasRoomForStream)
    // It may still be answered otherwise.
    #expect(server.session.endStream(1) == true && server.session.hasRoomForStream)
    #expect(server.session.answer(3, hasStream: true) == .now)
    server.write(.result, .stream, id: 1)
    server.write(.end, id: 1)
    server.write(.result, .stream, id: 3)
    server.send(to: client)
    #expect(client.next() == "stream 1 of 1: " && client.next() == "end of 1")
    #expect(client.next() == "stream 3 of 2: ")
    // Arguments count in the other direction.
    let id = try client.session.call(5, .stream)
    #expect(throws: Tango2CallFailure.tooMany(.streams(1))) {
      try client.session.call(6, .stream)
    }
    client.write(.call, .stream, id: id)
    client.write(.call, .stream, id: 99)
    client.send(to: server)
    #expect(server.next() == "call \(id)  stream")
    #expect(server.next() == "violation: more than 1 streams at a time")
    client.write(.call, id: try client.session.call(7))
    server.write(.result, .stream, id: try client.session.call(8))
    server.send(to: client)
    #expect(client.next() == "violation: more than 1 streams at a time")
  }

  @Test func `metadata beyond the limit are a violation`() {
    var settings = Tango2Settings()
    settings.metadataBytes = 5
    let ends = Tango2End.pair(server: settings)
    ends.client.write(.call, .metadata, id: 5, payload: [0, 6, 1, 97, 0, 2, 1, 2])
    ends.client.send(to: ends.server)
    #expect(
      ends.server.next() == "violation: metadata of 6 bytes are longer than the limit of 5 bytes")
  }

  @Test func `an end that leaves takes no more calls and finishes those it has`() throws {
    let id = try call(1)
    let last = server.session.drain()
    #expect(last == id)
    server.write(.goaway, payload: fourBytes(last) + Array("restart".utf8))
    let late = try client.session.call(9)
    client.write(.call, id: late)
    client.send(to: server)
    #expect(server.next() == "refused \(late): \(Tango2CallRefusal.leaving)")
    server.send(to: client)
    #expect(client.next() == "goaway restart")
    #expect(throws: Tango2CallFailure.leaving) { try client.session.call(2) }
    #expect(throws: Tango2CallFailure.leaving) { try server.session.call(2) }
    #expect(answer(late, .error, .init(rawValue: 1)) == "error of 9: notCalled  (may retry)")
    // References and calls within others go on.
    let inner = try server.session.call(3, .within, within: id)
    server.write(.call, .within, id: inner, payload: fourBytes(id) + Array("g".utf8))
    server.send(to: client)
    #expect(client.next() == "call \(inner) g within \(id)")
    let reference = try client.session.call(4, .reference)
    client.write(.call, .reference, id: reference, payload: fourBytes(12))
    client.send(to: server)
    #expect(server.next() == "call \(reference)  reference 12")
    #expect(server.session.answer(reference) == .now)
    #expect(answer(reference, .result) == "result of 4: ")
    #expect(client.session.answer(inner) == .now && !client.session.mayClose)
    client.write(.result, id: inner)
    client.send(to: server)
    #expect(server.next() == "result of 3: ")
    #expect(server.session.answer(id) == .now && !server.session.mayClose)
    #expect(answer(id, .result) == "result of 1: ")
    #expect(client.session.mayClose)
    expectIdle()
  }

  @Test func `what was not begun may be made again when the connection is lost`() throws {
    client.session.nextID = .max - 2
    server.session.lastTaken = .max - 2
    let old = try client.session.call(1)
    let plain = try client.session.call(2)
    _ = try client.session.call(3, .reference)
    let streaming = try client.session.call(4, .stream)
    #expect(client.session.sendItems(streaming, payloadBytes: 5) == .now)
    let cancelled = try client.session.call(5)
    #expect(client.session.cancel(cancelled) == 5)
    _ = try client.session.call(6, .stream)
    #expect(old == .max - 2 && plain == .max)
    server.write(.goaway, payload: fourBytes(server.session.drain()))
    server.send(to: client)
    #expect(client.next() == "goaway ")
    let calls = client.session.end().calls.sorted { $0.caller < $1.caller }
    #expect(calls.map(\.caller) == [1, 2, 3, 4, 6])
    #expect(calls.map(\.mayRetry) == [false, true, false, false, true])
  }

  @Test func `calls within others wait for no limit but have a depth`() throws {
    var settings = Tango2Settings()
    settings.calls = 1
    settings.callsWithin = 50
    let ends = Tango2End.pair(client: settings, server: settings)
    let both = [ends.client, ends.server]
    var ids = [try ends.client.session.call(0)]
    ends.client.write(.call, id: ids[0])
    for depth in 1...101 {
      let (me, other) = (both[depth % 2], both[1 - depth % 2])
      other.send(to: me)
      #expect(me.next().hasPrefix("call \(ids.last!) "))
      if depth == 101 {
        #expect(throws: Tango2CallFailure.tooDeep(limit: 50)) {
          try me.session.call(depth, .within, within: ids.last!)
        }
        me.write(.call, .within, id: ids[99] + 2, payload: fourBytes(ids.last!))
        break
      }
      let id = try me.session.call(depth, .within, within: ids.last!)
      me.write(.call, .within, id: id, payload: fourBytes(ids.last!))
      ids.append(id)
    }
    // One that does not keep to it.
    ends.server.send(to: ends.client)
    #expect(ends.client.next() == "violation: more than 50 calls within others at a time")
  }

  @Test func `a call within another needs one that runs`() throws {
    #expect(throws: Tango2CallFailure.outerEnded) {
      try server.session.call(1, .within, within: 1)
    }
    let id = try call(1)
    let inner = try server.session.call(2, .within, within: id)
    #expect(client.session.cancel(id) == 1)
    server.write(.call, .within, id: inner, payload: fourBytes(id))
    server.send(to: client)
    #expect(client.next() == "refused \(inner): \(Tango2CallRefusal.outerCancelled)")
    client.write(.cancel, id: id)
    client.send(to: server)
    #expect(server.next() == "cancelled \(id)")
    #expect(throws: Tango2CallFailure.outerEnded) {
      try server.session.call(1, .within, within: id)
    }
    for bad in [2, 99] as [UInt32] {
      server.write(.call, .within, id: 8, payload: fourBytes(bad))
      server.send(to: client)
      #expect(client.next() == "violation: \(Tango2Violation.within(bad))")
      client.received = []
    }
  }

  @Test func `a window may be larger`() throws {
    var settings = Tango2Settings()
    settings.window = 1 << 20
    settings.itemBytes = 5000
    let ends = Tango2End.pair(client: settings)
    ends.client.write(.call, id: try ends.client.session.call(1))
    ends.client.send(to: ends.server)
    _ = ends.server.next()
    #expect(ends.server.session.answer(1, hasStream: true) == .now)
    #expect(ends.server.session.credit(1) == 1 << 20)
    #expect(ends.server.session.fitsItems(5000) && !ends.server.session.fitsItems(5001))
    ends.server.write(.result, .stream, id: 1)
    for _ in 0..<30 {
      #expect(ends.server.session.sendItems(1, payloadBytes: 5000) == .now)
      ends.server.write(.items, id: 1, payload: item(5000))
    }
    ends.server.write(.items, id: 1, payload: item(5001))
    ends.server.send(to: ends.client)
    #expect(ends.client.next() == "stream 1 of 1: ")
    for _ in 0..<30 { #expect(ends.client.next().hasPrefix("items")) }
    #expect(
      ends.client.next()
        == "violation: a frame of 5001 bytes is longer than the limit of 5000 bytes"
    )
  }

  @Test func `settings must be possible`() {
    for entry in [[2, 0, 0, 0, 9], [8, 0, 0, 255, 255], [9, 0, 0, 1, 0]] as [[UInt8]] {
      let end = Tango2End(.server)
      end.sent = []
      end.write(.settings, payload: entry)
      end.received = end.sent
      #expect(end.next() == "violation: \(Tango2Violation.malformed(.settings))")
    }
    let end = Tango2End(.server)
    end.sent = []
    end.write(.settings, payload: [9, 0, 0, 0, 3])
    end.received = end.sent
    #expect(end.next() == "violation: messages in JSON, where this end has MessagePack")
  }

  @Test func `frames of no call have their form`() {
    let frames: [(Tango2Frame.Kind, [UInt8], String)] = [
      (.ping, [UInt8](repeating: 97, count: 64), "ping " + String(repeating: "a", count: 64)),
      (.ping, [UInt8](repeating: 97, count: 65), "violation: \(Tango2Violation.malformed(.ping))"),
      (.pong, [UInt8](repeating: 97, count: 65), "violation: \(Tango2Violation.malformed(.pong))"),
      (.release, [1, 2, 3], "violation: \(Tango2Violation.malformed(.release))"),
      (.goaway, [1, 2, 3], "violation: \(Tango2Violation.malformed(.goaway))"),
      (.goaway, [0, 0, 0, 1], "violation: \(Tango2Violation.malformed(.goaway))"),
      (.goaway, [0, 0, 0, 2, 97], "goaway a"),
      (.goaway, [0, 0, 0, 2, 97], "violation: \(Tango2Violation.again(.goaway))"),
    ]
    for (kind, payload, event) in frames {
      client.write(kind, payload: payload)
      client.send(to: server)
      #expect(server.next() == event)
      server.received = []
    }
  }
}
