import CLua
import CShims
import Lua
import LuaSocket

/// The tables that stand for remote functions and variables, and for remote objects.
///
/// A proxy is a table, so that one that was used is found again by a plain table access. It knows its
/// connection and its path under keys that no program can have.
final class TangoProxies {
  private let connections: LuaClass<TangoClientConnection>
  private static let connectionKey = LuaRegistryKey()
  private static let pathKey = LuaRegistryKey()
  private var proxyMetatable: Int32 = 0
  private var referenceMetatable: Int32 = 0

  init(_ call: LuaCall, connections: LuaClass<TangoClientConnection>) {
    self.connections = connections
    call.pushTable(fields: 2)
    call.setFunction("__index") { [self] (call) throws(LuaFailure) in try index(call) }
    call.setFunction("__call") { [self] (call) throws(LuaFailure) in
      if call.phase == .entered { try prepareCall(call) }
      return try run(call)
    }
    proxyMetatable = call.retainTop()
    call.pushTable(fields: 1)
    call.setFunction("__index") { [self] (call) throws(LuaFailure) in try indexReference(call) }
    referenceMetatable = call.retainTop()
  }

  /// Pushes a new proxy.
  ///
  /// - Parameters:
  ///   - connection: the place of the connection on the stack.
  ///   - path: the place of the path, nil for the root.
  func push(_ call: LuaCall, connection: Int, path: Int?) {
    call.pushTable(fields: 4)
    let proxy = call.count
    call.pushValue(at: connection)
    call.setField(Self.connectionKey, of: proxy)
    if let path {
      call.pushValue(at: path)
      call.setField(Self.pathKey, of: proxy)
    }
    call.pushRetained(proxyMetatable)
    lua_setmetatable(call.state, -2)
  }

  /// `proxy.name` for the first time: a new proxy, which is kept.
  private func index(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try call.check(1, is: .table)
    guard call.type(at: 2) == .string else {
      throw call.failure(
        "tango: remote names are strings, not \(call.typeName(at: 2)) values; fetch a table "
          + "with con.name() to look inside it")
    }
    call.count = 2
    call.pushField(Self.connectionKey, of: 1)
    call.pushField(Self.pathKey, of: 1)
    if call.type(at: 4) == .nil {
      call.pushValue(at: 2)
      call.replace(at: 4)
    } else {
      call.push(".")
      call.pushValue(at: 2)
      call.concatenate(3)
    }
    push(call, connection: 3, path: 4)
    call.pushValue(at: 2)
    call.pushValue(at: -2)
    lua_rawset(call.state, 1)
    return .results(1)
  }

  /// `proxy(...)`: the proxy at 1 makes way for its connection and its path.
  private func prepareCall(_ call: LuaCall) throws(LuaFailure) {
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
  private func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try connections.check(call, at: 1).pointee.run(call)
  }

  // MARK: Remote objects

  /// Sets `ref` and `unref` in the table on top of the stack.
  func addReferences(_ call: LuaCall) {
    call.setFunction("ref") { [self] (call) throws(LuaFailure) in try reference(call) }
    call.setFunction("unref") { [self] (call) throws(LuaFailure) in
      if call.phase == .entered {
        try checkReference(call)
        call.count = 1
        call.pushField("id", of: 1)
        try replaceReference(call, with: "tango.ref_release")
      }
      return try run(call)
    }
  }

  /// `ref(proxy, ...)`: calls the remote function and keeps what it returns there.
  private func reference(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      guard isTable(call, at: 1, withMetatable: proxyMetatable) else {
        throw call.argumentFailure(1, "tango proxy expected, such as con.io.popen")
      }
      try prepareCall(call)
      call.push("tango.ref_create")
      call.insert(at: 2)
    }
    let outcome = try run(call)
    guard connections.payload(call, at: 1)?.pointee.hasFinished == true else { return outcome }
    // The results are the topmost values; the first is the id.
    guard call.count > 1, call.type(at: -1) == .string else {
      throw call.failure("tango: the server's answer to tango.ref is not a reference")
    }
    call.pushTable(fields: 4)
    call.pushValue(at: -2)
    call.setField("id", of: -2)
    push(call, connection: 1, path: nil)
    call.setField("proxy", of: -2)
    call.pushValue(at: 1)
    call.setField(Self.connectionKey, of: -2)
    call.pushRetained(referenceMetatable)
    lua_setmetatable(call.state, -2)
    return .results(1)
  }

  private func checkReference(_ call: LuaCall) throws(LuaFailure) {
    guard isTable(call, at: 1, withMetatable: referenceMetatable) else {
      throw call.argumentFailure(1, "reference expected, as tango.ref returns it")
    }
  }

  private func isTable(_ call: LuaCall, at index: Int, withMetatable metatable: Int32) -> Bool {
    guard call.type(at: index) == .table, lua_getmetatable(call.state, Int32(index)) != 0 else {
      return false
    }
    call.pushRetained(metatable)
    defer { call.pop(2) }
    return lua_rawequal(call.state, -1, -2) != 0
  }

  /// `reference.name`: a function that calls the object's method; kept in the reference.
  private func indexReference(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try call.check(1, is: .table)
    call.count = 2
    call.pushValue(at: 2)
    call.push(upvalues: 1) { [self] (call) throws(LuaFailure) in
      if call.phase == .entered {
        try checkReference(call)
        guard call.reserve(8) else { throw call.failure("too many arguments") }
        call.pushField("id", of: 1)
        call.insert(at: 2)
        call.pushUpvalue(1)
        call.insert(at: 3)
        try replaceReference(call, with: "tango.ref_call")
      }
      return try run(call)
    }
    call.pushValue(at: 2)
    call.pushValue(at: -2)
    lua_rawset(call.state, 1)
    return .results(1)
  }

  /// The reference at 1 makes way for its connection and the path.
  private func replaceReference(
    _ call: LuaCall, with path: StaticString
  ) throws(LuaFailure) {
    call.push(path)
    call.insert(at: 2)
    call.pushField(Self.connectionKey, of: 1)
    call.replace(at: 1)
  }
}
