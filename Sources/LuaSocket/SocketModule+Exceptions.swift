import CMilongaLua
import CMilongaShims
import MilongaLua

/// Functions that return `nil, error` made of functions that raise errors, and the other way round.
///
/// What `try` raises is a table with the error at 1 and a metatable that nothing else has: by that
/// `protect` knows which errors are meant for the caller.
extension SocketModule {
  private static let exceptionKey = LuaRegistryKey()

  static func addExceptions(_ call: LuaCall) {
    call.pushTable(fields: 1)
    call.push(false)
    call.setField("__metatable", of: -2)
    call.setRegistry(exceptionKey)
    call.setFunction("newtry") { (call) throws(LuaFailure) in
      call.count = 1
      pushTry(call)
      return .results(1)
    }
    call.pushNil()
    pushTry(call)
    call.setField("try", of: -2)
    call.setFunction("protect") { (call) throws(LuaFailure) in
      call.count = 1
      call.push(upvalues: 1, function: callProtected)
      return .results(1)
    }
    // Gave back what Windows' sockets need.
    call.setFunction("__unload") { (call) throws(LuaFailure) in .results(0) }
    call.setFunction("skip") { (call) throws(LuaFailure) in
      let skipped = max(0, try call.integer(at: 1))
      return .results(max(0, call.count - 1 - min(skipped, call.count)))
    }
  }

  /// Replaces the finaliser on top of the stack, a function or nil, with a function that returns
  /// its arguments, or, when the first is false, calls the finaliser and raises the second.
  private static func pushTry(_ call: LuaCall) {
    call.push(upvalues: 1) { (call) throws(LuaFailure) in
      if call.phase == .entered {
        if call.boolean(at: 1) { return .results(call.count) }
        call.count = 2
        call.pushUpvalue(1)
        if call.type(at: -1) != .nil { return .call(arguments: 0, results: 0) }
      }
      throw raise(call)
    }
  }

  /// The error at 2 as one that `protect` returns.
  private static func raise(_ call: LuaCall) -> LuaFailure {
    call.pushTable(elements: 1)
    call.pushValue(at: 2)
    milonga_rawseti(call.state, -2, 1)
    call.pushRegistry(exceptionKey)
    milonga_setmetatable(call.state, -2)
    return .raised
  }

  /// Calls the function that belongs to this one. It may yield.
  private static func callProtected(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    switch call.phase {
    case .failed:
      guard isException(call) else { throw .raised }
      call.pushNil()
      milonga_rawgeti(call.state, -2, 1)
      return .results(2)
    case .entered:
      let arguments = call.count
      call.pushUpvalue(1)
      call.insert(at: 1)
      return .protectedCall(arguments: arguments)
    default:
      return .results(call.count)
    }
  }

  /// Whether the value on top of the stack is an error that `try` raised.
  private static func isException(_ call: LuaCall) -> Bool {
    guard call.type(at: -1) == .table, lua_getmetatable(call.state, -1) != 0 else { return false }
    call.pushRegistry(exceptionKey)
    defer { call.pop(2) }
    return call.identity(at: -1) == call.identity(at: -2)
  }
}
