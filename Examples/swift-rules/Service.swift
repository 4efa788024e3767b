import MilongaLua
import MilongaRPC
import Tango

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A Swift service whose rules are a Lua script, which may change while the service does not.
///
///     swift run swift-rules & milonga -e "print(require 'tango'.client.socket.connect{}.price{items = {
///       {name = 'yerba', price = 5, count = 12}}})"; kill %1
///
/// An argument is the port, 12345 without one; 0 is any free port, which it prints.
@main
enum Service {
  struct Order: Codable, Sendable {
    struct Item: Codable, Sendable {
      var name: String
      var price: Double
      var count: Int
    }
    var items: [Item]
  }

  /// A Lua state belongs to one thread at a time; an actor sees to that.
  actor Rules {
    private let lua: LuaState

    init(_ path: String) throws {
      // Whatever the script does, it has so much memory, and for each call so many instructions.
      lua = try LuaState(memoryLimit: 64 << 20, instructionLimit: 1_000_000)
      try lua.run("dofile '\(path)'")
    }

    func price(of order: Order) throws -> Double {
      lua.instructionLimit(1_000_000)
      guard let price: LuaFunction = lua[global: "price"] else {
        throw TangoRemoteError(path: "price", value: "the rules have no function 'price'")
      }
      let items = order.items.map { item -> [String: LuaValue] in
        [
          "name": .bytes(Array(item.name.utf8)), "price": .number(item.price),
          "count": .integer(item.count),
        ]
      }
      do {
        return try price(["items": items])
      } catch {
        throw TangoRemoteError(path: "price", value: .string(ByteString(error.message)))
      }
    }
  }

  static func main() async throws {
    // Beside this file.
    let folder = #filePath.prefix(upTo: #filePath.lastIndex(of: "/")!)
    let rules = try Rules("\(folder)/rules.lua")
    var api = TangoNamespace()
    api.register("price") { (order: Order) async throws in try await rules.price(of: order) }
    let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 12345
    let server = TangoServer(api, configuration: .init(port: port))
    print("listening on port \(try await server.start())")
    fflush(nil)
    try await server.run()
  }
}
