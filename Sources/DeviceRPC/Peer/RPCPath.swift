public import RPCRuntime

/// A function of the other side, or a table of functions, by its path.
@dynamicMemberLookup
public struct RPCPath: Sendable {
  let callee: RPCCallee

  /// A peer's functions, with a timeout of their own.
  @dynamicMemberLookup
  public struct Root: Sendable {
    let peer: RPCPeer
    let timeout: Duration?

    public subscript(dynamicMember name: String) -> RPCPath { self[path: name] }

    public subscript(path path: String) -> RPCPath {
      RPCPath(callee: RPCCallee(peer: peer, target: .path(path), timeout: .some(timeout)))
    }
  }

  /// What is inside of the table of this path.
  public subscript(dynamicMember name: String) -> RPCPath { self[path: name] }

  /// The same for names that are no identifiers of Swift.
  public subscript(path path: String) -> RPCPath {
    RPCPath(
      callee: RPCCallee(
        peer: callee.peer, target: .path("\(callee.name).\(path)"), timeout: callee.timeout))
  }
}

extension RPCPath: RPCCallable {
  public static var _sendsReferences: Bool { true }

  public func _perform<Results: Sendable>(
    _ arguments: RPCArguments, decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    try await callee.perform(arguments, decode: decode)
  }
}

/// A Lua script that the other side keeps: see ``RPCPeer/newexec(_:)``.
public struct RPCScript: Sendable {
  let callee: RPCCallee
}

extension RPCScript: RPCCallable {
  public static var _sendsReferences: Bool { true }

  public func _perform<Results: Sendable>(
    _ arguments: RPCArguments, decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    try await callee.perform(arguments, decode: decode)
  }
}
