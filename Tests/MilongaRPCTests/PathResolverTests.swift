import MilongaRPC
import Testing

/// A namespace as a tree, walked as the original walks Lua tables.
private struct Namespace: NamespaceCursor {
  indirect enum Node {
    case function
    case variable
    case nothing
    case table([String: Node])
  }

  var node: Node
  var last = ""

  mutating func descend(_ name: UnsafeRawBufferPointer) -> Bool {
    guard case .table(let members) = node else { return false }
    last = String(decoding: name, as: UTF8.self)
    node = members[last] ?? .nothing
    return true
  }

  var isCallable: Bool {
    if case .function = node { true } else { false }
  }
}

@Suite struct DispatcherTests {
  private let root = Namespace.Node.table([
    "add": .function, "x": .variable,
    "nested": .table(["method": .table(["name": .function]), "y": .variable]),
    "tango": .table(["ref_create": .function, "version": .variable]),
  ])

  private func resolve(
    _ path: String, hasNewValue: Bool = false, access: Access = [.read, .write]
  ) throws(DispatchError) -> (action: PathResolver.Action, last: String) {
    var cursor = Namespace(node: root)
    let path = allocated(path.utf8)
    defer { path.deallocate() }
    let action = try PathResolver.resolve(
      path, cursor: &cursor, hasNewValue: hasNewValue, access: access)
    return (action, cursor.last)
  }

  private func error(
    _ path: String, hasNewValue: Bool = false, access: Access = [.read, .write]
  ) -> String? {
    do throws(DispatchError) {
      _ = try resolve(path, hasNewValue: hasNewValue, access: access)
      return nil
    } catch {
      return error.description
    }
  }

  @Test func `a function is called, whatever the arguments and the access`() throws {
    #expect(try resolve("add").action == .call)
    #expect(try resolve("add", hasNewValue: true, access: []).action == .call)
    #expect(try resolve("nested.method.name").action == .call)
    #expect(try resolve("nested:method name").action == .call)
  }

  @Test func `anything else is read without an argument and written with one`() throws {
    #expect(try resolve("x").action == .read)
    #expect(try resolve("x", hasNewValue: true).action == .write)
    #expect(try resolve("nested").action == .read)
    #expect(try resolve("nested.new", hasNewValue: true) == (.write, "new"))
    #expect(try resolve("nested.missing").action == .read)
  }

  @Test func `a path through something that is no table is an error`() {
    let message = "tango server error \"horst.dieter\": no such variable"
    #expect(error("horst.dieter") == message)
    #expect(error("x.y") == "tango server error \"x.y\": no such variable")
    #expect(error("add.y") == "tango server error \"add.y\": no such variable")
    #expect(
      error("a.b.c.d", hasNewValue: true)
        == "tango server error \"a.b.c.d\": no such variable")
  }

  @Test func `a path without names is an error`() {
    #expect(error("") == "tango server error \"\": no such variable")
    #expect(error("...") == "tango server error \"...\": no such variable")
  }

  @Test func `access is checked for what is done`() throws {
    #expect(error("x", access: .write) == "tango server error \"x\": no read_access")
    #expect(
      error("x", hasNewValue: true, access: .read)
        == "tango server error \"x\": no write_access")
    #expect(try resolve("x", access: .read).action == .read)
    #expect(try resolve("x", hasNewValue: true, access: .write).action == .write)
  }

  @Test func `the functions for remote objects come before the namespace`() throws {
    #expect(try resolve("tango.ref_create") == (.createReference, ""))
    #expect(try resolve("tango.ref_call", access: []) == (.callReference, ""))
    #expect(try resolve("tango.ref_release", hasNewValue: true) == (.releaseReference, ""))
  }

  @Test func `all other paths through tango are ordinary`() throws {
    #expect(try resolve("tango.version").action == .read)
    #expect(try resolve("tango").action == .read)
    #expect(
      error("tango.ref_create.x")
        == "tango server error \"tango.ref_create.x\": no such variable")
    #expect(try resolve("tango.ref_calls").action == .read)
    #expect(error("nested.tango.ref_call") != nil)
  }

  @Test func `the message has the path as it came, the description as text`() {
    let path = allocated([0xFF, 46])
    defer { path.deallocate() }
    var cursor = Namespace(node: .variable)
    do throws(DispatchError) {
      _ = try PathResolver.resolve(path, cursor: &cursor, hasNewValue: false, access: .read)
    } catch {
      #expect(error.message.bytes.contains(0xFF))
      #expect(error.description == "tango server error \"\u{fffd}.\": no such variable")
    }
  }
}
