import Tango

/// A Swift client of a Lua server.
///
///     milonga Examples/swift-client/server.lua & swift run swift-client; kill %1
///
/// An argument is the server's port, 12345 without one.
@main
enum Client {
  struct Book: Codable {
    var title: String
    var year: Int
  }

  /// A typed interface over the remote names: three lines for each function.
  struct Library {
    let con: TangoClient

    func add(_ book: Book) async throws -> Int {
      try await con.add(book)
    }

    func books(before year: Int) async throws -> [Book] {
      try await con.before(year)
    }

    func reader() async throws -> TangoReference {
      try await con.reader.reference()
    }
  }

  static func main() async throws {
    let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 12345
    let con = try await Tango.connect(host: "localhost", port: port)
    let library = Library(con: con)

    print("\(try await library.add(Book(title: "Zama", year: 1956))) books")

    // Calls of many tasks share the connection; none waits for another's answer.
    try await withThrowingTaskGroup(of: (Int, Int).self) { group in
      for year in [1950, 1960, 1970] {
        group.addTask { (year, try await library.books(before: year).count) }
      }
      for try await (year, count) in group { print("\(count) before \(year)") }
    }

    let reader = try await library.reader()
    while let book: Book = try await reader.read() { print(book.title) }

    do {
      try await con.before("long ago")
    } catch let error as TangoRemoteError {
      print(error.message)
    }
  }
}
