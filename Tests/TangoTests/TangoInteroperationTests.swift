import MilongaNIOTestSupport
import MilongaRPC
import MilongaTestSupport
import NIOConcurrencyHelpers
import Tango
import Testing

/// Swift and Lua call each other.
@Suite struct TangoInteroperationTests {
  /// Runs a tango server in Lua for the time of the test. `code` sets globals.
  private func withLuaServer(
    _ code: String, _ body: (TangoClient) async throws -> Void
  ) async throws {
    let server = try OtherProgram(
      lua: """
        local copas, tango = require 'copas', require 'tango'
        \(code)
        local server, handler = tango.server.copas_socket.new { port = 0 }
        copas.addserver(server, handler)
        local _, port = server:getsockname()
        io.open('port', 'w'):write(port, '\\n'):close()
        copas.loop()
        """, in: Workplace())
    let client = try await Tango.connect(
      host: "127.0.0.1", port: try await server.port(), configuration: .forTests)
    try await body(client)
    withExtendedLifetime(server) {}
  }

  @Test func swiftCallsLua() async throws {
    try await withLuaServer(
      """
      friends = { 'Horst' }
      nested = { method = { name = function(...) return ... end } }
      function boom() error { code = 7 } end
      function person(p) p.age = (p.age or 0) + 1 return p end
      function counter(start)
        return { add = function(self, n) start = start + n return start end }
      end
      """
    ) { (con) async throws in
      let root: Double = try await con.math.sqrt(4)
      #expect(root == 2)
      let (first, second): (Int, String) = try await con.nested.method.name(1, "two")
      #expect(first == 1 && second == "two")
      var friends: [String] = try await con.friends()
      try await con.friends(friends + ["Ina"])
      friends = try await con.friends()
      #expect(friends == ["Horst", "Ina"])
      let person: Person = try await con.person(Person(name: "Ann", age: 3, friends: []))
      #expect(person == Person(name: "Ann", age: 4, friends: []))
      await #expect(throws: TangoRemoteError(path: "boom", value: ["code": 7])) {
        try await con.boom()
      }
      let counter = try await con.counter.reference(5)
      let count: Int = try await counter.add(2)
      #expect(count == 7)
      await #expect(throws: TangoRemoteError.self) { try await con.nothing.there() }

      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for n in 1...1000 { group.addTask { try await con.nested.method.name(n) } }
        return try await group.reduce(0, +)
      }
      #expect(sum == 500_500)
    }
  }

  @Test func values() async throws {
    let values: [TangoValue] = [
      .null, true, false, 0, -1, .integer(.max), .integer(.min), 0.5, -0.0, 1e300,
      .number(.infinity), "", "text", .string(ByteString([0, 255, 13, 10, 34, 92])), [],
      [1, nil, 3], ["a": ["b": [1.5]]],
      .table(
        Table(elements: [1], entries: [.init(key: true, value: "x"), .init(key: 2.5, value: 1)])),
    ]
    try await withLuaServer("function echo(...) return ... end") { (con) async throws in
      for value in values {
        let back = try await con.echo.call([value]).first ?? .null
        #expect(normalized(back) == normalized(value))
      }
    }
  }

  /// All in entries, in a fixed order, without nils.
  private func normalized(_ value: TangoValue) -> TangoValue {
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
    let friends = NIOLockedValueBox<TangoVariable<[String]>?>(nil)
    try await withTango {
      $0.register("add") { (a: Int, b: Int) in a + b }
      $0.register("user.greet") { (name: String) async -> String in "Hello, \(name)" }
      $0.register("divide") { (a: Int, b: Int) throws -> (Int, Int) in
        guard b != 0 else { throw TangoRemoteError(path: "", value: ["code": 7]) }
        return (a / b, a % b)
      }
      $0.register("older") { (person: Person) -> Person in
        var person = person
        person.age = (person.age ?? 0) + 1
        return person
      }
      let variable = $0.variable("friends", initial: ["Horst"])
      friends.withLockedValue { $0 = variable }
      $0.register(object: "list") { (first: String) in List(first) }
    } _: { (con) async throws in
      let place = try Workplace()
      try place.write(
        """
        local tango = require 'tango'
        local con = tango.client.socket.connect { address = '127.0.0.1', port = \(con.port) }
        print(con.add(40, 2))
        print(con.user.greet('Horst'))
        print(con.divide(17, 5))
        print(pcall(con.add, 'x', 1))
        local ok, err = pcall(con.divide, 1, 0)
        print(ok, err.code)
        local p = con.older { name = 'Ann', friends = { 'Bob' } }
        print(p.name, p.age, p.friends[1], #p.friends)
        local friends = con.friends()
        table.insert(friends, 'Ina')
        con.friends(friends)
        print(table.concat(con.friends(), ','))
        local list = tango.ref(con.list, 'a')
        print(list:append('b'), list:append('c'))
        print(list:joined('-'))
        tango.unref(list)
        local copas = require 'copas'
        local sum = 0
        copas(function()
          local con = tango.client.socket.connect { address = '127.0.0.1', port = \(con.port) }
          for i = 1, 100 do
            copas.addthread(function()
              local n = con.add(i, i)
              sum = sum + n
            end)
          end
        end)
        print(sum)
        """, to: "client.lua")
      let outcome = try await place.runAside(.milonga, ["client.lua"])
      #expect(
        outcome.output == """
          42
          Hello, Horst
          3	2
          false	add: argument #1: expected Int, got string
          false	7
          Ann	1	Bob	1
          Horst,Ina
          2	3
          a-b-c
          10100

          """, "\(outcome)")
      #expect(friends.withLockedValue { $0!.value } == ["Horst", "Ina"])
    }
  }
}

private final class List: TangoObject {
  private let items: NIOLockedValueBox<[String]>
  init(_ first: String) { items = NIOLockedValueBox([first]) }

  static let methods = TangoMethods<List> {
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
