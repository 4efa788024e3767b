import MilongaRPC

/// What one side offers to the other: functions, variables, and tables of them.
///
/// ```swift
/// var api = RPCNamespace()
/// api.register("greet") { (name: String) in "Hello, \(name)" }
/// api.register("user.name") { (id: Int) async throws -> String in try await database.name(of: id) }
/// let friends = api.variable("friends", initial: ["Horst"])
/// ```
///
/// Arguments are whatever is `Decodable`, results whatever is `Encodable`; several results are a
/// tuple. A call with the wrong number of arguments, or of the wrong types, gets an error that
/// names what was expected. What a function throws is the caller's error: the value of a
/// ``RPCRemoteError``, or else the error's text.
///
/// Names with dots are inside of tables. Peers reach what is registered here, and nothing else. The
/// same namespace can be served by several servers, whatever their protocol.
public struct RPCNamespace: Sendable {
  package indirect enum Node: Sendable {
    case table(NameTable<Node>)
    case function(RPCFunction)
    case variable(Variable)
  }

  /// A variable's two functions.
  package struct Variable: Sendable {
    package let read: @Sendable (any ResultReceiver) throws -> Void
    package let write: (@Sendable (CallArguments) throws -> Void)?
  }

  /// A table.
  package private(set) var root = Node.table(NameTable())
  /// The functions once more, by their whole paths: most calls need no walk.
  private var functions = NameTable<RPCFunction>()

  public init() {}

  /// Registers a function that does not wait for anything: it runs on the connection's event loop,
  /// and all connections of that loop wait for it.
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable, Result: Encodable & Sendable>(
    _ path: String, _ body: @escaping @Sendable (repeat each Argument) throws -> Result
  ) {
    add(path, .direct(body))
  }

  /// The same without a result.
  @_disfavoredOverload
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable>(
    _ path: String, _ body: @escaping @Sendable (repeat each Argument) throws -> Void
  ) {
    add(path, .direct(body))
  }

  /// The same with several results.
  @inlinable
  public mutating func register<
    each Argument: Decodable & Sendable, First: Encodable & Sendable,
    Second: Encodable & Sendable, each Result: Encodable & Sendable
  >(
    _ path: String,
    _ body: @escaping @Sendable (repeat each Argument) throws -> (First, Second, repeat each Result)
  ) {
    add(path, .direct(body))
  }

  /// Registers an async function. It runs as a task, beside those of other calls, as far as the
  /// server's ``CallConcurrency`` allows. When the peer goes, the task is cancelled.
  @_disfavoredOverload
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable, Result: Encodable & Sendable>(
    _ path: String, _ body: @escaping @Sendable (repeat each Argument) async throws -> Result
  ) {
    add(path, .async(body))
  }

  /// The same without a result.
  @_disfavoredOverload
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable>(
    _ path: String, _ body: @escaping @Sendable (repeat each Argument) async throws -> Void
  ) {
    add(path, .async(body))
  }

  /// The same with several results.
  @_disfavoredOverload
  @inlinable
  public mutating func register<
    each Argument: Decodable & Sendable, First: Encodable & Sendable,
    Second: Encodable & Sendable, each Result: Encodable & Sendable
  >(
    _ path: String,
    _ body:
      @escaping @Sendable (repeat each Argument) async throws -> (
        First, Second, repeat each Result
      )
  ) {
    add(path, .async(body))
  }

  /// Registers a function that returns an object, which stays here: peers get a reference to it,
  /// and call its methods. A client of tango asks for it by `tango.ref` in Lua, `reference()` in
  /// Swift.
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable, Object: RPCObject>(
    object path: String, _ body: @escaping @Sendable (repeat each Argument) async throws -> Object
  ) {
    add(
      path,
      .object { arguments in
        let arguments: (repeat each Argument) = try arguments.decode()
        return { try await body(repeat each arguments) }
      })
  }

  /// A variable that peers read and write, as their access allows.
  ///
  /// - Returns: the variable as this program sees it.
  @discardableResult
  public mutating func variable<Value: Codable & Sendable>(
    _ path: String, initial value: Value
  ) -> RPCVariable<Value> {
    let variable = RPCVariable(value)
    self.variable(path, get: { variable.value }, set: { variable.value = $0 })
    return variable
  }

  /// A variable that is computed. Without `set` it cannot be written, whatever the access.
  public mutating func variable<Value: Codable & Sendable>(
    _ path: String, get: @escaping @Sendable () throws -> Value,
    set: (@Sendable (Value) throws -> Void)? = nil
  ) {
    let write: (@Sendable (CallArguments) throws -> Void)?
    if let set {
      write = { arguments in
        let value: Value = try arguments.decode()
        try set(value)
      }
    } else {
      write = nil
    }
    add(
      path,
      .variable(
        Variable(
          read: { receiver in try receiver.result(try get()) }, write: write)))
    functions[path] = nil
  }

  @usableFromInline
  mutating func add(_ path: String, _ body: RPCFunction.Body) {
    let function = RPCFunction(path: path, body: body)
    add(path, .function(function))
    functions[path] = function
  }

  /// - Precondition: the names are letters, digits and underscores (ASCII), as the protocol has
  ///   them; tables and functions do not have the same name; the name is not one of tango's own.
  private mutating func add(_ path: String, _ node: Node) {
    let names = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    for name in names {
      precondition(
        !name.isEmpty && name.utf8.allSatisfy(isNamePart),
        "'\(path)': names are made of letters, digits and underscores")
    }
    precondition(
      !["tango.ref_create", "tango.ref_call", "tango.ref_release"].contains(path),
      "'\(path)' is tango's own")
    Self.add(node, names[...], path, to: &root)
  }

  private static func add(
    _ node: Node, _ names: ArraySlice<String>, _ path: String, to parent: inout Node
  ) {
    guard case .table(var table) = parent else {
      preconditionFailure("'\(path)': what is in front of '\(names.first!)' is no table")
    }
    let name = names.first!
    if names.count > 1 {
      var inner = table[name] ?? .table(NameTable())
      add(node, names.dropFirst(), path, to: &inner)
      table[name] = inner
    } else {
      if case .table = table[name] { preconditionFailure("'\(path)' is a table already") }
      table[name] = node
    }
    parent = .table(table)
  }
}

// The tables are looked up here, in their own module: generic code of another module that is not
// public is not specialized, and slow.
extension RPCNamespace {
  /// The function that was registered with exactly this path. Other spellings of the path need a
  /// walk.
  ///
  /// - Parameter element: the element of the message that is the path.
  package func function(at element: Int, of message: MessageElements) -> RPCFunction? {
    guard case .string(let offset, let count) = message[element] else { return nil }
    return message.withString(offset, count) { functions[$0] }
  }
}

extension RPCNamespace.Node {
  /// What a table has by this name; nil when there is nothing, or this is no table.
  package func member(_ name: UnsafeRawBufferPointer) -> RPCNamespace.Node? {
    guard case .table(let table) = self else { return nil }
    return table[name]
  }
}

private func isNamePart(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"):
    true
  default: false
  }
}
