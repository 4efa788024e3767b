import DeviceRPC
import Foundation
import MilongaNIOTestSupport
import MilongaRPC
import MilongaTestSupport
import NIOConcurrencyHelpers
import Testing

/// Swift and Milonga's `rpc` call each other, over one connection.
@Suite struct PeerInteroperationTests {
  /// Runs a server in Lua for the time of the test. `code` sets globals.
  private func withLuaServer(
    _ code: String, serving register: (inout RPCNamespace) -> Void = { _ in },
    _ body: (RPCPeer) async throws -> Void
  ) async throws {
    let server = try OtherProgram(
      lua: """
        local copas, rpc, socket = require 'copas', require 'rpc', require 'socket'
        \(code)
        local listener = assert(socket.bind('127.0.0.1', 0))
        copas.addserver(listener, function(skt)
          -- The connection lasts as long as this.
          peer = rpc.newsession(skt)
          copas.pauseforever()
        end)
        local _, port = listener:getsockname()
        io.open('port', 'w'):write(port, '\\n'):close()
        copas.loop()
        """, in: Workplace())
    var namespace = RPCNamespace()
    register(&namespace)
    let peer = try await RPCPeer.connect(
      host: "127.0.0.1", port: try await server.port(), serving: namespace,
      configuration: .forTests)
    try await body(peer)
    peer.close()
    withExtendedLifetime(server) {}
  }

  @Test func swiftCallsLua() async throws {
    try await withLuaServer(
      """
      data = { list = { 10, 20, { 30 } }, name = 'pump' }
      function echo(...) return ... end
      function holes() return 'a', nil, 'three' end
      function boom(value) error(value, 0) end
      function reading(r) r.value = (r.value or 1) * 2 return r end
      function fib(n) if n < 2 then return n end return peer:call('fib', n - 1) + peer:call('fib', n - 2) end
      function f() return print end
      counter = { n = 0 }
      function counter:add(k) self.n = self.n + k return self.n end
      function newcounter() return counter end
      function total(c) return c.n end
      rpc.signature('newcounter', '#counter')
      """
    ) {
      $0.register("fib") { (n: Int) async throws -> Int in
        if n < 2 { return n }
        let peer = RPCPeer.current!
        let before: Int = try await peer.fib(n - 1)
        let beforeThat: Int = try await peer.fib(n - 2)
        return before + beforeThat
      }
    } _: { (peer) async throws in
      let root: Double = try await peer.math.sqrt(4)
      #expect(root == 2)
      let (first, second): (Int, String) = try await peer.echo(1, "two")
      #expect(first == 1 && second == "two")
      #expect(try await peer.holes.call() == ["a", nil, "three"])
      let reading: Reading = try await peer.reading(
        Reading(sensor: "t", value: nil, samples: [1, 2]))
      #expect(reading == Reading(sensor: "t", value: 2, samples: [1, 2]))
      await #expect(throws: RPCRemoteError(path: "boom", value: ["code": 7])) {
        try await peer.boom(["code": 7])
      }
      await #expect(throws: RPCRemoteError(path: "boom", value: "bang")) {
        try await peer.boom("bang")
      }
      await #expect(throws: RPCError.noSuchFunction(path: "no.such")) { try await peer.no.such() }
      await #expect(throws: RPCError.notAFunction(path: "data")) { try await peer.data() }
      await #expect(throws: RPCError.unserializable(path: "f")) { try await peer.f() }
      let thirty: Int = try await peer.eval("data.list.3.1")
      #expect(thirty == 30)
      await #expect(throws: RPCError.unserializable(path: "eval 'print'")) {
        try await peer.eval("print")
      }

      let double = try await peer.newexec("return 2 * ...")
      let number: Int = try await double(21)
      #expect(number == 42)
      let sum: Int = try await peer.newexec(["local a, b = ...", " return ", "a + b"])(40, 2)
      #expect(sum == 42)
      await #expect(throws: RPCRemoteError.self) { try await peer.newexec("return +") }

      let counter: RPCReference = try await peer.newcounter()
      let count: Int = try await counter.add(5)
      #expect(count == 5)
      let total: Int = try await peer.total(counter)
      #expect(total == 5)
      let again: RPCReference = try await peer.newcounter()
      #expect(again == counter)
      let string: RPCReference = try await peer.require("string")
      #expect(try await peer.type(string) == "table")

      let recursive: Int = try await peer.fib(10)
      #expect(recursive == 55)
      let all = try await withThrowingTaskGroup(of: Int.self) { group in
        for n in 1...1000 { group.addTask { try await peer.echo(n) } }
        return try await group.reduce(0, +)
      }
      #expect(all == 500_500)
    }
  }

  @Test func values() async throws {
    let values: [RPCValue] = [
      .null, true, false, 0, -1, .integer(Int64(Int32.max)), .integer(Int64(Int32.min)), 0.5, -0.0,
      1e300, 3.0, .number(.infinity), "", "text", .string(ByteString([0, 255, 13, 10, 34, 92])), [],
      [1, nil, 3], ["a": ["b": [1.5]]], ["x", "x", ["x": "x"]],
      .table(
        Table(elements: [1], entries: [.init(key: true, value: "x"), .init(key: 2.5, value: 1)])),
    ]
    try await withLuaServer("function echo(...) return ... end") { (peer) async throws in
      for value in values {
        let back = try await peer.echo.call([value]).first ?? .null
        #expect(normalized(back) == normalized(value))
      }
      // More than 32 bits are a double, which is a float there.
      let big: Int = try await peer.echo(1 << 40)
      #expect(big == 1 << 40)
      let nan: Double = try await peer.echo(Double.nan)
      #expect(nan.isNaN)
    }
  }

  /// All in entries, in a fixed order, without nils.
  private func normalized(_ value: RPCValue) -> RPCValue {
    guard case .table(let table) = value else { return value }
    let elements = table.elements.enumerated().map { offset, element in
      Table.Entry(key: .integer(Int64(offset + 1)), value: element)
    }
    let entries = (elements + table.entries).filter { $0.value != .null }
      .map { Table.Entry(key: $0.key, value: normalized($0.value)) }
      .sorted { $0.key.description < $1.key.description }
    return .table(Table(entries: entries))
  }

  @Test func luaCallsSwift() async throws {
    let heard = Gate()
    try await withPeers {
      $0.register("add") { (a: Int, b: Int) in a + b }
      $0.register("user.greet") { (name: String) async -> String in "Hello, \(name)" }
      $0.register("fail") { () throws -> Int in throw RPCRemoteError(path: "", value: ["code": 7]) }
      $0.register("reading") { (reading: Reading) -> Reading in
        var reading = reading
        reading.value = (reading.value ?? 1) * 2
        return reading
      }
      $0.variable("device.name", initial: "pump 3")
      $0.register(object: "list") { (first: String) in List(first) }
      $0.register("size") { (list: RPCShared<List>) in
        list.object.items.withLockedValue { $0.count }
      }
      $0.register("twice") { (name: String, n: Int) async throws -> Int in
        let peer = RPCPeer.current!
        let once: Int = try await peer[path: name](n)
        return try await peer[path: name](once)
      }
      $0.register("heard") { heard.open() }
    } whenConnected: { peer in
      // The visitor calls while the script calls.
      guard try await peer.eval("isLua") == true else { return }
      let script = try await peer.newexec("return 'visited ' .. ...")
      #expect(try await script("by Swift") == "visited by Swift")
      try await peer.called()
    } _: { (peer, _) async throws in
      let place = try Workplace()
      try place.write(
        """
        local copas, rpc = require 'copas', require 'rpc'
        isLua = true
        function inc(n) return n + 1 end
        function called() wasCalled = true end
        local function run(how)
          print(how)
          local peer = assert(rpc.newclient('127.0.0.1', \(peer.address!.port!)))
          print(peer:call('add', 40, 2))
          print(peer:call('user.greet', 'Horst'))
          print(pcall(peer.call, peer, 'add', 'x', 1))
          local ok, err = pcall(peer.call, peer, 'fail')
          print(ok, err.code)
          local r = peer:call('reading', { sensor = 't', samples = { 1, 2 } })
          print(r.sensor, r.value, #r.samples)
          print(peer:eval 'device.name', peer:eval 'nothing')
          print(peer:call 'no.such')
          print(peer:call 'user')
          local list = peer:call('list', 'a')
          print(list:append 'b', list:append 'c', list:joined '-')
          print(peer:call('size', list))
          print(peer:call('twice', 'inc', 5))
          print(pcall(peer.newexec, peer, 'return 1'))
          if how == 'copas' then
            local sum, n = 0, 0
            for i = 1, 300 do
              copas.addthread(function() local both = peer:call('add', i, i) sum, n = sum + both, n + 1 end)
            end
            while n < 300 or not wasCalled do copas.pause(0.001) end
            print(sum)
          end
          peer:close()
        end
        run 'blocking'
        copas(function() run 'copas' end)
        """, to: "client.lua")
      let outcome = try await place.runAside(.milonga, ["client.lua"])
      let both = """
        42
        Hello, Horst
        false	Error in remote call:
        add: argument #1: expected Int, got string
        false	7
        t	2.0	2
        pump 3	nil
        nil	function not existing
        nil	not a function
        2	3	a-b-c
        3
        7
        false	Error in remote call:
        rpc: newexec is not allowed here: this is no Lua

        """
      #expect(outcome.output == "blocking\n\(both)copas\n\(both)90300\n", "\(outcome)")
      try await peer.heard()
      await heard.pass()
    }
  }

  /// Each side goes while calls of both are under way; the one that stays is told at once.
  @Test func theEndInTheMiddleOfACall() async throws {
    let running = Gate()
    let cancelled = Gate()
    try await withLuaServer(
      """
      function go() peer:call 'wait' end
      function leave() os.exit(0, false) end
      """
    ) {
      $0.register("wait") { () async throws -> Int in
        running.open()
        defer { cancelled.open() }
        try await Task.sleep(for: .seconds(600))
        return 1
      }
    } _: { (peer) async throws in
      let call = Task { try await peer.go() }
      await running.pass()
      do {
        try await peer.leave()
        Issue.record("it is still there")
      } catch RPCError.connectionClosed {}
      await #expect(throws: RPCError.self) { try await call.value }
      await cancelled.pass()
    }
    // Now Swift goes; Lua writes what its call has got.
    let place = try Workplace()
    try await withPeers {
      $0.register("wait") { () async throws -> Int in
        RPCPeer.current!.close()
        try await Task.sleep(for: .seconds(600))
        return 1
      }
    } _: { (peer, _) async throws in
      try place.write(
        """
        local peer = assert(require 'rpc'.newclient('127.0.0.1', \(peer.address!.port!)))
        print(peer:call 'wait')
        require 'copas' (function()
          local peer = assert(require 'rpc'.newclient('127.0.0.1', \(peer.address!.port!)))
          print(peer:call 'wait')
        end)
        """, to: "client.lua")
      let outcome = try await place.runAside(.milonga, ["client.lua"])
      #expect(outcome.output == "nil\tclosed\nnil\tclosed\n", "\(outcome)")
    }
  }
}

private final class List: RPCObject {
  let items: NIOLockedValueBox<[String]>
  init(_ first: String) { items = NIOLockedValueBox([first]) }

  static let methods = RPCMethods<List> {
    $0.register("append") { (list: List, item: String) -> Int in
      list.items.withLockedValue {
        $0.append(item)
        return $0.count
      }
    }
    $0.register("joined") { (list: List, separator: String) -> String in
      list.items.withLockedValue { $0.joined(separator: separator) }
    }
  }
}

/// Swift and the original of Eclipse Mihini, on Lua 5.1.
///
/// It is no package of Debian's: `MILONGA_RPC_ORIGINAL` names a folder with a file `env.sh` that
/// sets `LUA_PATH` and `LUA_CPATH` so that `lua5.1` finds the original's modules `sched` and `rpc`.
@Suite struct OriginalPeerTests {
  /// The original's folder, when there is one.
  static let folders = [ProcessInfo.processInfo.environment["MILONGA_RPC_ORIGINAL"]]
    .compactMap { $0 }

  private static let script =
    LuaHost.package + "/Tests/LuaRPCTests/Scripts/support/original_peer.lua"

  private func start(_ folder: String, _ arguments: String, in place: Workplace) throws
    -> OtherProgram
  {
    let command = ". \(folder)/env.sh && exec lua5.1 \(Self.script) \(arguments)"
    return try OtherProgram(.shell, ["-c", command], in: place)
  }

  @Test(arguments: folders) func swiftIsTheClient(_ folder: String) async throws {
    let place = try Workplace()
    let original = try start(folder, "server", in: place)
    let peer = try await RPCPeer.connect(
      host: "127.0.0.1", port: try await original.port(in: "stdout"), serving: functions,
      configuration: .forTests)
    try await calls(peer)
    peer.close()
    withExtendedLifetime(original) {}
  }

  @Test(arguments: folders) func swiftIsTheServer(_ folder: String) async throws {
    let failure = NIOLockedValueBox<(any Error)?>(nil)
    let done = Gate()
    let server = RPCServer(functions, configuration: .forTests) { peer in
      do { try await calls(peer) } catch { failure.withLockedValue { $0 = error } }
      done.open()
    }
    let port = try await server.start()
    let original = try start(folder, "client \(port)", in: try Workplace())
    await done.pass()
    if let error = failure.withLockedValue({ $0 }) { throw error }
    await server.shutDown()
    withExtendedLifetime(original) {}
  }

  /// What the original calls.
  private var functions: RPCNamespace {
    var namespace = RPCNamespace()
    namespace.register("add") { (a: Double, b: Double) in a + b }
    namespace.register("fib") { (n: Int) async throws -> Int in
      if n < 2 { return n }
      let before: Int = try await RPCPeer.current!.fib(n - 1)
      let beforeThat: Int = try await RPCPeer.current!.fib(n - 2)
      return before + beforeThat
    }
    return namespace
  }

  /// What Swift calls, and has called, on either side of the connection.
  private func calls(_ peer: RPCPeer) async throws {
    let sum: Double = try await peer.add(0.5, 1)
    #expect(sum == 1.5)
    // It has floats only, and sends integral ones as integers.
    #expect(try await peer.echo(3.0) == 3)
    #expect(try await peer.holes.call() == ["a", nil, "three"])
    let reading = Reading(sensor: "t", value: 0.25, samples: [1, 2, 2])
    let back: Reading = try await peer.echo(reading)
    #expect(back == reading)
    await #expect(throws: RPCRemoteError(path: "fail", value: "boom")) {
      try await peer.fail("boom")
    }
    await #expect(throws: RPCRemoteError(path: "fail", value: ["some error"])) {
      try await peer.fail(["some error"])
    }
    await #expect(throws: RPCError.noSuchFunction(path: "no.such")) { try await peer.no.such() }
    await #expect(throws: RPCError.notAFunction(path: "data")) { try await peer.data() }
    await #expect(throws: RPCError.unserializable(path: "eval 'io.stdout'")) {
      try await peer.eval("io.stdout")
    }
    let thirty: Int = try await peer.eval("data.list.3.1")
    #expect(thirty == 30)
    let number: Int = try await peer.newexec("return ... + 1")(41)
    #expect(number == 42)
    let pieces: Int = try await peer.newexec(["return", " ... + 1"])(41)
    #expect(pieces == 42)
    let string: RPCReference = try await peer.require("string")
    let again: RPCReference = try await peer.require("string")
    #expect(string == again)
    #expect(try await peer.type(string) == "table")
    let recursive: Int = try await peer.fib(8)
    #expect(recursive == 21)
    // 84 ms each, if neither side acknowledged at once.
    let seconds: Double = try await peer.measure(100)
    #expect(seconds < 0.04)
  }
}
