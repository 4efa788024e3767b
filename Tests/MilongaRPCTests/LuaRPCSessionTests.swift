import MilongaRPC
import MilongaTestSupport
import Testing

/// Framing and bookkeeping of Lua RPC.
@Suite struct PeerTests {
  @Test func `frames of the original`() throws {
    let call = bytes(hex: "000100000011040006672e6563686f04000568656c6c6f")
    #expect(LuaRPCFraming.next(in: call) == .message(.call, sequence: 1, payloadBytes: 17))
    let answer = bytes(hex: "0101000000090004000568656c6c6f")
    #expect(LuaRPCFraming.next(in: answer) == .message(.response, sequence: 1, payloadBytes: 9))

    var writer = LuatobinWriter()
    for (kind, sequence, status, values) in [
      (LuaRPCFraming.Kind.call, 1 as UInt8, nil as UInt8?, ["g.echo", "hello"] as [Value]),
      (.response, 1, 0, ["hello"]),
    ] {
      let message = LuaRPCFraming.open(in: &writer.buffer)
      if let status { writer.buffer.append(status) }
      for value in values {
        writer.beginTopLevelValue()
        value.write(to: &writer)
      }
      LuaRPCFraming.close(message, kind, sequence: sequence, in: &writer.buffer)
    }
    let dropped = LuaRPCFraming.open(in: &writer.buffer)
    writer.null()
    LuaRPCFraming.drop(dropped, from: &writer.buffer)
    #expect(writer.buffer.contents == call + answer)
  }

  @Test func `incomplete frames`() {
    let frame: [UInt8] = [0, 7, 0, 0, 0, 3, 1, 2, 3]
    for count in 0..<6 {
      #expect(
        LuaRPCFraming.next(in: Array(frame[..<count])) == .incomplete(needed: 6 - count))
    }
    #expect(LuaRPCFraming.next(in: Array(frame[..<6])) == .incomplete(needed: 3))
    #expect(LuaRPCFraming.next(in: Array(frame[..<8])) == .incomplete(needed: 1))
    #expect(LuaRPCFraming.next(in: frame + [9]) == .message(.call, sequence: 7, payloadBytes: 3))
  }

  @Test func `bad headers`() {
    #expect(LuaRPCFraming.next(in: [2]) == .invalid(.unknownType(2)))
    #expect(LuaRPCFraming.next(in: [255, 0]) == .invalid(.unknownType(255)))
    #expect(
      LuaRPCFraming.next(in: [0, 0, 0, 0, 1, 1], maxBytes: 256) == .invalid(.tooLong(limit: 256)))
    #expect(
      LuaRPCFraming.next(in: [0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
        == .invalid(.tooLong(limit: LuaRPCFraming.defaultMaxBytes)))
    #expect(LuaRPCFraming.next(in: [1, 0, 0, 0, 0, 0]) == .invalid(.missingStatus))
    #expect(
      LuaRPCFraming.next(in: [0, 0, 0, 0, 0, 0]) == .message(.call, sequence: 0, payloadBytes: 0))
  }

  @Test func `numbers count up and wrap`() {
    var calls = NumberedCalls<Int>()
    for index in 0..<1000 {
      #expect(calls.add(index) == UInt8(index & 255))
      #expect(calls.take(UInt8(index & 255)) == .caller(index))
    }
    #expect(calls.count == 0)
  }

  @Test func `256 calls, and no more`() {
    var calls = NumberedCalls<Int>()
    for index in 0..<256 { #expect(calls.add(index) == UInt8(index)) }
    #expect(calls.add(256) == nil)
    // Answers come in any order; the number that is free is the next one's.
    #expect(calls.take(77) == .caller(77))
    #expect(calls.take(77) == CallMatch<Int>.none)
    #expect(calls.add(300) == 77)
    #expect(calls.add(301) == nil)
    #expect(calls.failAll().sorted() == Array((0..<77)) + Array(78..<256) + [300])
    #expect(calls.take(0) == CallMatch<Int>.none)
  }

  @Test func `a slow call keeps its number`() {
    var calls = NumberedCalls<String>()
    #expect(calls.add("slow") == 0)
    for index in 1..<256 {
      #expect(calls.add("quick") == UInt8(index))
      #expect(calls.take(UInt8(index)) == .caller("quick"))
    }
    #expect(calls.add("quick") == 1)
    #expect(calls.take(0) == .caller("slow"))
  }

  @Test func `abandoned calls`() {
    var calls = NumberedCalls<Int>()
    for index in 0..<4 { _ = calls.add(index) }
    calls.abandon(1)
    calls.abandon { $0 == 2 }
    calls.abandon(200)
    #expect(calls.count == 4)
    #expect(calls.isAwaited)
    #expect(calls.take(1) == .abandoned)
    #expect(calls.take(2) == .abandoned)
    calls.abandon(0)
    #expect(calls.isAwaited)
    calls.abandon(3)
    #expect(!calls.isAwaited && calls.count == 2)
    _ = calls.add(4)
    #expect(calls.failAll() == [4])
  }

  @Test func `random calls against a model`() {
    var generator = SeededGenerator(for: "numbered calls")
    var calls = NumberedCalls<Int>()
    var model: [UInt8: Int?] = [:]
    for index in 0..<20_000 {
      switch generator.below(5) {
      case 0, 1:
        let number = calls.add(index)
        #expect((number == nil) == (model.count == 256))
        if let number {
          #expect(model[number] == nil)
          model[number] = .some(index)
        }
      case 2:
        let number = UInt8(generator.below(256))
        calls.abandon(number)
        if model[number] != nil { model[number] = .some(nil) }
      default:
        let number = model.keys.randomElement(using: &generator) ?? 0
        let expected: CallMatch<Int> =
          switch model.removeValue(forKey: number) {
          case nil: .none
          case .some(nil): .abandoned
          case .some(.some(let caller)): .caller(caller)
          }
        #expect(calls.take(number) == expected)
      }
      #expect(calls.count == model.count)
    }
  }

  @Test func `paths`() {
    func parts(_ path: String) -> [String] {
      path.withBytes { PeerPath($0).map { String(decoding: $0, as: UTF8.self) } }
    }
    #expect(parts("g.t.3.name") == ["g", "t", "3", "name"])
    #expect(parts("") == [])
    #expect(parts("...") == [])
    #expect(parts(".a..b c.") == ["a", "b c"])
  }

  @Test func `reserved functions`() {
    for function in LuaRPCFunction.allCases {
      #expect("\(function.name)".withBytes { LuaRPCFunction($0) } == function)
    }
    for name in ["", "__", "__rpc", "__rpcevalx", "print"] {
      #expect(name.withBytes { LuaRPCFunction($0) } == nil)
    }
  }

  @Test func `statuses`() {
    #expect(LuaRPCStatus.results.message == nil)
    #expect(LuaRPCStatus.noSuchFunction.message == "function not existing")
    #expect(LuaRPCStatus.notAFunction.message == "not a function")
    #expect(LuaRPCStatus.unserializable.message == "bad status 4")
    #expect(LuaRPCStatus(rawValue: 200).message == "bad status 200")
  }

  /// Two sessions that call each other over a link which splits and, sometimes, spoils the bytes:
  /// every call is answered once, or fails with the connection.
  @Test func `sessions over a bad link`() {
    var generator = SeededGenerator(for: "peer session")
    var spoilt = 0
    for round in 0..<300 {
      var link = Link(generator: generator, isBad: round % 2 == 1)
      link.run(calls: 600)
      generator = link.generator
      if link.isBroken { spoilt += 1 }
      let outcomes = link.answered.count + link.failed.count
      if !link.isBroken && !link.isBad {
        #expect(outcomes == 600 && link.failed.isEmpty)
      }
      #expect(outcomes <= 600)
      #expect(link.answered.isDisjoint(with: link.failed))
    }
    #expect(spoilt > 50)
  }
}

/// Two sessions and the bytes between them.
private struct Link {
  var generator: SeededGenerator
  let isBad: Bool
  var sessions = [LuaRPCSession<Int>(maxBytes: 4096), LuaRPCSession<Int>(maxBytes: 4096)]
  /// Bytes on their way to each session.
  var wires: [[UInt8]] = [[], []]
  var answered: Set<Int> = []
  var failed: Set<Int> = []
  var isBroken = false

  init(generator: SeededGenerator, isBad: Bool) {
    self.generator = generator
    self.isBad = isBad
  }

  mutating func run(calls: Int) {
    var made = 0
    for _ in 0..<calls * 20 where !isBroken {
      let side = generator.below(2)
      if made < calls, generator.below(2) == 0, let number = sessions[side].calls.add(made) {
        append(.call, number, made, to: 1 - side)
        made += 1
      }
      receive(side)
    }
    while !isBroken, made == calls, wires[0].count + wires[1].count > 0 {
      let before = wires[0].count + wires[1].count
      receive(0)
      receive(1)
      // What is left is the start of a message that a spoilt length has made longer.
      if isBad, wires[0].count + wires[1].count == before { break }
    }
    for side in 0..<2 { failed.formUnion(sessions[side].calls.failAll()) }
  }

  private mutating func append(
    _ kind: LuaRPCFraming.Kind, _ number: UInt8, _ value: Int, to side: Int
  ) {
    var writer = LuatobinWriter()
    let message = LuaRPCFraming.open(in: &writer.buffer)
    if kind == .response { writer.buffer.append(0) }
    writer.beginTopLevelValue()
    writer.integer(Int64(value))
    LuaRPCFraming.close(message, kind, sequence: number, in: &writer.buffer)
    wires[side] += writer.buffer.contents
    if isBad, generator.below(300) == 0 { generator.mutateBinary(&wires[side]) }
  }

  /// One of the messages that wait.
  private mutating func receive(_ side: Int) {
    let bytes = wires[side]
    var consumed = 0
    bytes.withUnsafeBytes { all in
      let event = sessions[side].next(in: all)
      switch event {
      case .incomplete(let needed): #expect(needed > 0)
      case .call(let sequence, let payload):
        consumed = 6 + payload.count
        append(.response, sequence, 0, to: 1 - side)
      case .answer(let caller, _, let payload):
        consumed = 6 + payload.count
        #expect(answered.insert(caller).inserted)
      case .lateAnswer(let payload): consumed = 6 + payload.count
      case .unknownAnswer(_, let payload):
        consumed = 6 + payload.count
        #expect(isBad)
      case .invalid:
        #expect(isBad)
        isBroken = true
      }
    }
    wires[side].removeFirst(consumed)
  }
}

extension SeededGenerator {
  /// One small change, of the sort that binary formats have to survive.
  mutating func mutateBinary(_ input: inout [UInt8]) {
    let place = below(input.count + 1)
    switch below(6) {
    case 0 where place < input.count: input[place] ^= 1 << below(8)
    case 1: input.removeSubrange(place...)
    case 2: input.removeSubrange(place..<min(input.count, place + below(6)))
    case 3:
      let from = below(input.count + 1)
      input.insert(contentsOf: input[from..<min(input.count, from + below(20))], at: place)
    case 4 where place < input.count:
      input[place] = [0, 1, 3, 4, 5, 6, 7, 0x14, 0x21, 0xFF][below(10)]
    default: input.insert(UInt8(below(256)), at: place)
    }
  }
}

extension LuaRPCFraming {
  fileprivate static func next(in bytes: [UInt8], maxBytes: Int = defaultMaxBytes) -> Result {
    let input = allocated(bytes)
    defer { input.deallocate() }
    return next(in: input, maxBytes: maxBytes)
  }
}
