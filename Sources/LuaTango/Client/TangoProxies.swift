import CMilongaLua
import CMilongaShims
import Copas
import LuaSocket
import MilongaLua

/// The tables that stand for remote functions and variables, and for remote objects.
///
/// A proxy is a table, so that one that was used is found again by a plain table access. It knows
/// its connection and its path under keys that no program can have.
final class TangoProxies {
  let connections: LuaClass<ConnectedClient>
  let futures: TangoFutures
  static let connectionKey = LuaRegistryKey()
  static let pathKey = LuaRegistryKey()
  /// In proxies whose calls are futures for `pipeline`: the list of these.
  static let listKey = LuaRegistryKey()
  /// In the functions of a remote object: the object and the name.
  static let objectKey = LuaRegistryKey()
  static let nameKey = LuaRegistryKey()
  /// In references: the connection's generation that they belong to.
  static let generationKey = LuaRegistryKey()
  private(set) var proxyMetatable = LuaStored()
  private(set) var asyncMetatable = LuaStored()
  private(set) var referenceMetatable = LuaStored()
  private(set) var methodMetatable = LuaStored()

  let loop: CopasLoop

  init(_ call: LuaCall, loop: CopasLoop) {
    self.loop = loop
    connections = LuaClass(call, name: "tango connection", finalize: { $0.proxied.release() })
    futures = TangoFutures(call, loop: loop)
    call.pushTable(fields: 2)
    call.setFunction("__index") { [self] (call) throws(LuaFailure) in
      try index(call, isAsync: false)
    }
    call.setFunction("__call") { [self] (call) throws(LuaFailure) in
      if call.phase == .entered { try prepareCall(call) }
      return try run(call)
    }
    addMisuses(call)
    proxyMetatable = LuaStored(popping: call)
    call.pushTable(fields: 2)
    call.setFunction("__index") { [self] (call) throws(LuaFailure) in
      try index(call, isAsync: true)
    }
    call.setFunction("__call") { [self] (call) throws(LuaFailure) in try callLater(call) }
    addMisuses(call)
    asyncMetatable = LuaStored(popping: call)
    call.pushTable(fields: 2)
    call.setFunction("__index") { [self] (call) throws(LuaFailure) in try indexReference(call) }
    call.setFunction("__gc") { [self] (call) throws(LuaFailure) in
      abandon(call)
      return .results(0)
    }
    referenceMetatable = LuaStored(popping: call)
    call.pushTable(fields: 1)
    call.setFunction("__call") { [self] (call) throws(LuaFailure) in
      if call.phase == .entered { try prepareMethod(call) }
      return try run(call)
    }
    methodMetatable = LuaStored(popping: call)
  }

  /// Pushes a new proxy.
  ///
  /// - Parameters:
  ///   - connection: the place of the connection on the stack.
  ///   - path: the place of the path, nil for the root.
  ///   - list: the place of a pipeline's list, which makes the proxy one of futures.
  func push(_ call: LuaCall, connection: Int, path: Int?, isAsync: Bool = false, list: Int? = nil) {
    call.pushTable(fields: 4)
    let proxy = call.count
    call.pushValue(at: connection)
    call.setField(Self.connectionKey, of: proxy)
    if let path {
      call.pushValue(at: path)
      call.setField(Self.pathKey, of: proxy)
    }
    if let list {
      call.pushValue(at: list)
      call.setField(Self.listKey, of: proxy)
    }
    if isAsync { asyncMetatable.push(onto: call) } else { proxyMetatable.push(onto: call) }
    milonga_setmetatable(call.state, -2)
  }

  /// `proxy.name` for the first time: a new proxy, which is kept.
  private func index(_ call: LuaCall, isAsync: Bool) throws(LuaFailure) -> LuaOutcome {
    try call.check(1, is: .table)
    guard call.type(at: 2) == .string else {
      throw call.failure(
        "tango: remote names are strings, not \(call.typeName(at: 2)) values; fetch a table "
          + "with con.name() to look inside it")
    }
    call.count = 2
    call.pushField(Self.connectionKey, of: 1)
    call.pushField(Self.pathKey, of: 1)
    call.pushField(Self.listKey, of: 1)
    let isRoot = call.type(at: 4) == .nil
    if isRoot, !isAsync, pushOwn(call) {
      // The connection's own function, or proxies.
    } else {
      if isRoot {
        call.pushValue(at: 2)
      } else {
        call.pushValue(at: 4)
        call.push(".")
        call.pushValue(at: 2)
        call.concatenate(3)
      }
      call.replace(at: 4)
      let list = call.type(at: 5) == .nil ? nil : 5
      push(call, connection: 3, path: 4, isAsync: isAsync, list: list)
    }
    call.pushValue(at: 2)
    call.pushValue(at: -2)
    milonga_rawset(call.state, 1)
    return .results(1)
  }

  /// Pushes what a connection has itself under the name at 2: `async` and `pipeline`. False for
  /// other names.
  private func pushOwn(_ call: LuaCall) -> Bool {
    let name = call.bytesIfString(at: 2)!
    if name.elementsEqual("async".utf8) {
      push(call, connection: 3, path: nil, isAsync: true)
      return true
    }
    guard name.elementsEqual("pipeline".utf8) else { return false }
    call.pushValue(at: 3)
    call.push(upvalues: 1) { [self] (call) throws(LuaFailure) in try pipeline(call) }
    return true
  }

  /// `proxy(...)`: the proxy at 1 makes way for its connection and its path.
  func prepareCall(_ call: LuaCall) throws(LuaFailure) {
    guard call.type(at: 1) == .table, call.reserve(8) else {
      throw call.typeFailure(argument: 1, expected: "tango proxy")
    }
    call.pushField(Self.connectionKey, of: 1)
    call.pushField(Self.pathKey, of: 1)
    guard call.type(at: -2) == .userdata else {
      throw call.typeFailure(argument: 1, expected: "tango proxy")
    }
    guard call.type(at: -1) == .string else {
      throw call.failure(
        "tango: the connection itself cannot be called; name a remote function: con.name(...)")
    }
    call.insert(at: 2)
    call.replace(at: 1)
  }

  /// Performs the call whose connection, path and arguments are on the stack.
  @inline(__always)
  func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try progress(call).outcome
  }

  @inline(__always)
  func progress(_ call: LuaCall) throws(LuaFailure) -> CallProgress {
    let client = try connections.check(call, at: 1).pointee
    try loop.requireOwnResumption(call, "tango")
    return try client.run(call)
  }

  /// `close(con)`: the connection ends, and calls that wait for an answer fail.
  func addClose(_ call: LuaCall) {
    call.setFunction("close") { [self] (call) throws(LuaFailure) in
      guard isTable(call, at: 1, withMetatable: proxyMetatable) else {
        throw call.argumentFailure(
          1, "connection expected, as tango.client.socket.connect returns it")
      }
      call.count = 1
      call.pushField(Self.connectionKey, of: 1)
      try connections.check(call, at: 2).pointee.proxied.close()
      return .results(0)
    }
  }

  func isTable(_ call: LuaCall, at index: Int, withMetatable metatable: borrowing LuaStored) -> Bool
  {
    guard call.type(at: index) == .table, lua_getmetatable(call.state, Int32(index)) != 0 else {
      return false
    }
    metatable.push(onto: call)
    defer { call.pop(2) }
    return lua_rawequal(call.state, -1, -2) != 0
  }
}
