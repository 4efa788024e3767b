import MilongaNIOTestSupport
import MilongaTestSupport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Tango
import Testing

/// Calls of one connection whose functions wait.
@Suite struct TangoSideBySideTests {
  /// No function ends before all have begun.
  @Test func callersOfOneConnection() async throws {
    let begun = Tally()
    try await withTango {
      $0.register("meet") { (n: Int) async -> Int in
        begun.add()
        await begun.reach(256)
        return n
      }
    } _: { (con) async throws in
      let answers = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
        for n in 0..<256 { group.addTask { (n, try await con.meet(n)) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(answers.count == 256)
      for (n, answer) in answers { #expect(n == answer) }
    }
  }

  /// A client that knows only this wire: the answers have the order of the calls, whichever function
  /// ends first. What does not wait runs meanwhile.
  @Test func answersKeepTheOrder() async throws {
    let gates = (0..<5).map { _ in Gate() }
    let ended = Tally()
    try await withRawClient {
      $0.register("pass") { (n: Int) async -> Int in
        await gates[n].pass()
        ended.add()
        return n
      }
      $0.register("fail") { () async throws -> Int in throw TangoRemoteError(path: "", value: "no")
      }
      $0.register("last") { () -> String in
        gates[4].open()
        return "last"
      }
    } _: { (client, _) async throws in
      client.send((0..<5).map { #"{"pass",\#($0)}"# } + [#"{"fail"}"#, #"{"last"}"#, #"{"none"}"#])
      await ended.reach(1)
      for n in (1..<4).reversed() {
        gates[n].open()
        await ended.reach(5 - n)
      }
      #expect(client.answers == [])
      gates[0].open()
      let answers = try await client.answers(8)
      #expect(
        Array(answers.prefix(7))
          == (0..<5).map { "{true,\($0)}" } + [#"{false,"no"}"#, #"{true,"last"}"#])
      #expect(answers[7].hasPrefix("{false,"))
    }
  }

  /// - Parameters:
  ///   - calls: to functions that wait, with one that does not behind them.
  ///   - most: functions that run at the same time.
  @Test(arguments: [(CallConcurrency.sideBySide(limit: 4), 4), (.sideBySide(limit: 1), 1)])
  func theLimit(_ concurrency: CallConcurrency, most: Int) async throws {
    let (begun, may) = (Tally(), Tally())
    let highest = NIOLockedValueBox(0)
    try await withRawClient(concurrency) {
      $0.register("pass") { (n: Int) async -> Int in
        begun.add()
        await may.reach(n)
        return n
      }
      $0.register("begun") { begun.count }
    } _: { (client, _) async throws in
      client.send((1...20).map { #"{"pass",\#($0)}"# } + [#"{"begun"}"#])
      for n in 1...20 {
        await begun.reach(min(20, n - 1 + most))
        highest.withLockedValue { $0 = max($0, begun.count - (n - 1)) }
        may.add()
        _ = try await client.answers(n)
      }
      #expect(highest.withLockedValue { $0 } == most)
      #expect(try await client.answers(21).last == "{true,20}")
    }
  }

  /// A call begins when the one before it has been answered, also one that does not wait.
  @Test func ordered() async throws {
    let gate = Gate()
    let events = NIOLockedValueBox<[String]>([])
    @Sendable func note(_ event: String) { events.withLockedValue { $0.append(event) } }
    try await withRawClient(.ordered) {
      $0.register("wait") { () async -> Int in
        note("begins")
        gate.open()
        for _ in 0..<100 { await Task.yield() }
        note("ends")
        return 1
      }
      $0.register("note") { note("note") }
    } _: { (client, _) async throws in
      client.send([#"{"wait"}"#, #"{"wait"}"#, #"{"note"}"#])
      await gate.pass()
      _ = try await client.answers(3)
      #expect(events.withLockedValue { $0 } == ["begins", "ends", "begins", "ends", "note"])
    }
  }

  /// A write waits for all before it, and what comes behind it waits for the write.
  @Test func aWriteOfAVariable() async throws {
    let (begun, gate) = (Tally(), Gate())
    let variable = NIOLockedValueBox<TangoVariable<Int>?>(nil)
    @Sendable func value() -> Int { variable.withLockedValue { $0!.value } }
    try await withRawClient {
      $0.register("wait") { () async -> Int in
        begun.add()
        await gate.pass()
        return value()
      }
      $0.register("now") { value() }
      let number = $0.variable("number", initial: 1)
      variable.withLockedValue { $0 = number }
    } _: { (client, _) async throws in
      client.send(
        [#"{"wait"}"#, #"{"wait"}"#, #"{"number",2}"#, #"{"now"}"#, #"{"wait"}"#, #"{"number"}"#])
      await begun.reach(2)
      #expect(value() == 1)
      #expect(begun.count == 2)
      gate.open()
      #expect(
        try await client.answers(6)
          == ["{true,1}", "{true,1}", "{true}", "{true,2}", "{true,2}", "{true,2}"])
    }
  }

  /// A variable is read at once, while functions run.
  @Test func aReadOfAVariable() async throws {
    let gate = Gate()
    try await withRawClient {
      $0.register("wait") { () async -> Int in
        await gate.pass()
        return 1
      }
      $0.variable(
        "computed",
        get: { () -> Int in
          gate.open()
          return 2
        })
    } _: { (client, _) async throws in
      client.send([#"{"wait"}"#, #"{"computed"}"#])
      #expect(try await client.answers(2) == ["{true,1}", "{true,2}"])
    }
  }

  /// A release does not take the object away from a method that runs.
  @Test func anObjectThatIsReleased() async throws {
    let (begun, gate, gone) = (Tally(), Gate(), Tally())
    try await withRawClient {
      $0.register(object: "waiter") { Waiter(begun, gate, gone) }
    } _: { (client, _) async throws in
      client.send([#"{"tango.ref_create","waiter"}"#])
      let created = try #require(try await client.answers(1).first)
      let id = try #require(created.split(separator: "\"").dropFirst().first)
      client.send([
        #"{"tango.ref_call","\#(id)","wait"}"#, #"{"tango.ref_release","\#(id)"}"#,
        #"{"tango.ref_call","\#(id)","wait"}"#,
      ])
      await begun.reach(1)
      #expect(gone.count == 0)
      gate.open()
      let answers = try await client.answers(4)
      #expect(Array(answers[1...2]) == ["{true,7}", "{true}"])
      #expect(answers[3].contains("invalid id"))
      await gone.reach(1)
      #expect(begun.count == 1)
    }
  }

  // MARK: The ends

  /// Those that run are answered, in order, and then the connection closes.
  @Test func shuttingDown() async throws {
    let (begun, gate) = (Tally(), Gate())
    try await withRawClient {
      $0.register("wait") { (n: Int) async -> Int in
        begun.add()
        await gate.pass()
        return n
      }
    } _: { (client, server) async throws in
      client.send((1...3).map { #"{"wait",\#($0)}"# })
      await begun.reach(3)
      async let shutDown: Void = server.shutDown()
      // The listener closes first.
      try await eventually { await !canConnect(client.port) }
      gate.open()
      #expect(try await client.answers(3) == ["{true,1}", "{true,2}", "{true,3}"])
      try await client.channel.closeFuture.get()
      await shutDown
    }
  }

  /// The reason comes behind the answers to the calls before it.
  @Test func bytesThatAreNoMessage() async throws {
    let gate = Gate()
    try await withRawClient {
      $0.register("wait") { () async -> Int in
        await gate.pass()
        return 1
      }
      $0.register("open") { gate.open() }
    } _: { (client, _) async throws in
      client.send([#"{"wait"}"#, #"{"open"}"#], behind: "no length\n")
      let answers = try await client.answers(3)
      #expect(Array(answers.prefix(2)) == ["{true,1}", "{true}"])
      #expect(answers[2].hasPrefix(#"{false,"tango server error: "#))
      try await client.channel.closeFuture.get()
    }
  }

  // MARK: Lua

  /// Coroutines of one connection.
  @Test func luaClients() async throws {
    let begun = Tally()
    try await withTango {
      $0.register("meet") { (n: Int) async -> Int in
        begun.add()
        await begun.reach(100)
        return n
      }
    } _: { (con) async throws in
      let place = try Workplace()
      try place.write(
        """
        local copas, tango = require 'copas', require 'tango'
        local sum = 0
        copas(function()
          local con = tango.client.socket.connect { address = '127.0.0.1', port = \(con.port) }
          for i = 1, 100 do
            copas.addthread(function()
              local n = con.meet(i)
              assert(n == i)
              sum = sum + n
            end)
          end
        end)
        print(sum)
        """, to: "client.lua")
      let outcome = try await place.runAside(.milonga, ["client.lua"])
      #expect(outcome.output == "5050\n", "\(outcome)")
    }
  }
}

private final class Waiter: TangoObject {
  private let (begun, gate, gone): (Tally, Gate, Tally)

  init(_ begun: Tally, _ gate: Gate, _ gone: Tally) {
    (self.begun, self.gate, self.gone) = (begun, gate, gone)
  }

  deinit { gone.add() }

  static let methods = TangoMethods<Waiter> {
    $0.register("wait") { (waiter: Waiter) async -> Int in
      waiter.begun.add()
      await waiter.gate.pass()
      return 7
    }
  }
}

// MARK: A client that writes the wire by hand

private struct RawClient: Sendable {
  let port: Int
  let channel: any Channel
  private let received: NIOLockedValueBox<String>

  init(_ port: Int) async throws {
    let received = NIOLockedValueBox("")
    self.port = port
    self.received = received
    channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Receiver(received))
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
  }

  /// Sends messages, all at once.
  func send(_ messages: [String], behind last: String = "") {
    let text = messages.map { "\($0.utf8.count)\n\($0)" }.joined() + last
    channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
  }

  /// The answers that have come.
  var answers: [String] {
    var rest = received.withLockedValue { $0 }[...]
    var answers: [String] = []
    while let end = rest.firstIndex(of: "\n"), let count = Int(rest[..<end]),
      rest.distance(from: end, to: rest.endIndex) > count
    {
      let body = rest[rest.index(after: end)...].prefix(count)
      answers.append(String(body))
      rest = rest[body.endIndex...]
    }
    return answers
  }

  /// Waits for so many answers.
  func answers(_ count: Int) async throws -> [String] {
    try await eventually { answers.count >= count }
    return answers
  }

  private final class Receiver: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    private let received: NIOLockedValueBox<String>
    init(_ received: NIOLockedValueBox<String>) { self.received = received }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let text = String(buffer: unwrapInboundIn(data))
      received.withLockedValue { $0 += text }
    }
  }
}

private func canConnect(_ port: Int) async -> Bool {
  guard let channel = try? await connectRaw(to: port, reads: false) else { return false }
  try? await channel.close()
  return true
}

/// Like `withTango`, with a client that writes the wire by hand.
private func withRawClient(
  _ concurrency: CallConcurrency = .sideBySide(), _ register: (inout TangoNamespace) -> Void,
  _ body: (RawClient, TangoServer) async throws -> Void
) async throws {
  var namespace = TangoNamespace()
  register(&namespace)
  var configuration = TangoServer.Configuration.forTests
  configuration.concurrency = concurrency
  let server = TangoServer(namespace, configuration: configuration)
  let port = try await server.start()
  let outcome: Result<Void, any Error>
  do { outcome = .success(try await body(RawClient(port), server)) } catch {
    outcome = .failure(error)
  }
  await server.shutDown()
  try outcome.get()
}
