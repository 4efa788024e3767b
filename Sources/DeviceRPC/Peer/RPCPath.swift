/// A function of the other side, or a table of functions, by its path.
@dynamicMemberLookup
public struct RPCPath: RPCCallable {
  public let _callee: RPCCallee

  /// A peer's functions, with a timeout of their own.
  @dynamicMemberLookup
  public struct Root: Sendable {
    let peer: RPCPeer
    let timeout: Duration?

    public subscript(dynamicMember name: String) -> RPCPath { self[path: name] }

    public subscript(path path: String) -> RPCPath {
      RPCPath(_callee: RPCCallee(peer: peer, target: .path(path), timeout: .some(timeout)))
    }
  }

  /// What is inside of the table of this path.
  public subscript(dynamicMember name: String) -> RPCPath { self[path: name] }

  /// The same for names that are no identifiers of Swift.
  public subscript(path path: String) -> RPCPath {
    RPCPath(
      _callee: RPCCallee(
        peer: _callee.peer, target: .path("\(_callee.name).\(path)"), timeout: _callee.timeout))
  }
}

/// A Lua script that the other side keeps: see ``RPCPeer/newexec(_:)``.
public struct RPCScript: RPCCallable {
  public let _callee: RPCCallee
}
