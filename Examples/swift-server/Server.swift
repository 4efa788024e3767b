import Synchronization
import Tango

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A Swift server, called by Lua.
///
///     swift run swift-server & milonga Examples/swift-server/client.lua; kill %1
///
/// An argument is the port, 12345 without one; 0 is any free port, which it prints.
@main
enum Server {
  /// Travels as a table with string keys.
  struct Book: Codable {
    var title: String
    var author: String
    var year: Int?
  }

  /// An object that stays here: clients get a reference, and call its methods.
  final class Cart: TangoObject {
    private let titles = Mutex<[String]>([])

    static let methods = TangoMethods<Cart> {
      $0.register("add") { (cart: Cart, title: String) -> Int in
        cart.titles.withLock {
          $0.append(title)
          return $0.count
        }
      }
      $0.register("titles") { (cart: Cart) in cart.titles.withLock { $0 } }
    }
  }

  static func main() async throws {
    var api = TangoNamespace()
    let shelf = api.variable(
      "shelf", initial: [Book(title: "Ficciones", author: "Borges", year: 1944)])

    // Synchronous, with several results, async and throwing functions; names with dots are inside
    // of tables.
    api.register("greet") { (name: String) in "Hello, \(name)" }
    api.register("math.divide") { (a: Int, b: Int) throws -> (Int, Int) in
      guard b != 0 else { throw TangoRemoteError(path: "math.divide", value: "division by zero") }
      return (a / b, a % b)
    }
    api.register("books.by") { (author: String) async throws -> [Book] in
      try await Task.sleep(for: .milliseconds(10))  // a database would take its time, too
      return shelf.value.filter { $0.author == author }
    }
    api.register(object: "cart") { Cart() }

    let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 12345
    let server = TangoServer(api, configuration: .init(port: port))
    print("listening on port \(try await server.start())")
    fflush(nil)
    try await server.run()
  }
}
