import CMilongaLua
import CMilongaShims
import MilongaLua

// What proxies cannot do, although they are tables. Each is an error that says what to write.
extension TangoProxies {
  /// Adds the metamethods to the metatable on top of the stack.
  func addMisuses(_ call: LuaCall) {
    call.setFunction("__newindex") { [self] (call) throws(LuaFailure) in try assign(call) }
    call.setFunction("__len") { [self] (call) throws(LuaFailure) in
      throw call.failure(
        "tango: # does not count what is on the server; fetch the table first: "
          + "#\(name(call, root: "con.name"))()")
    }
    call.setFunction("__pairs") { [self] (call) throws(LuaFailure) in
      throw call.failure(
        "tango: pairs does not see what is on the server; fetch the table first: "
          + "pairs(\(name(call, root: "con.name"))())")
    }
  }

  /// `proxy.name = value`. A field of the proxy would hide the remote variable.
  private func assign(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = 3
    try call.check(1, is: .table)
    call.pushField(Self.connectionKey, of: 1)
    if let connection = connections.payload(call, at: 4),
      connection.pointee.proxied.configuration.hasLocalFields
    {
      call.count = 3
      guard !call.isNoneOrNil(at: 2), call.numberIfNumber(at: 2)?.isNaN != true else {
        throw call.failure("tango: a field cannot have this name")
      }
      milonga_rawset(call.state, 1)
      return .results(0)
    }
    let variable = name(call, root: "con")
    let field = call.stringIfString(at: 2)?.prefix(40) ?? "name"
    throw call.failure(
      "tango: \(variable).\(field) is not assigned to; \(variable).\(field)(value) sets the remote "
        + "variable, rawset(\(variable), '\(field)', value) a field of the proxy; with local_fields = "
        + "true in the configuration an assignment does the latter")
  }

  /// How a program may write the proxy at 1, for messages.
  private func name(_ call: LuaCall, root: String) -> String {
    guard call.type(at: 1) == .table else { return root }
    call.pushField(Self.pathKey, of: 1)
    defer { call.pop() }
    return call.stringIfString(at: -1).map { "con." + $0.prefix(80) } ?? root
  }
}
