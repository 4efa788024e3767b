import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaLua

/// Copas sockets: tables with a field `socket`, whose methods wait inside the dispatcher.
///
/// They are tables and not userdata because programs reach for the field.
final class CopasWrapper {
  let metatable: UnsafeRawPointer
  private let stored: LuaStored

  /// Methods that do what those of the socket do.
  private static let forwarded: [StaticString] = [
    "bind", "getsockname", "getpeername", "getstats", "setstats", "listen", "accept", "setoption",
    "getoption", "shutdown",
  ]

  init(_ call: LuaCall, methods: (LuaCall) -> Void) {
    call.pushTable(fields: 2)
    metatable = call.identity(at: -1)!
    call.pushTable(fields: 24)
    for name in Self.forwarded { call.setFunction(name, Self.forward(name)) }
    methods(call)
    call.setField("__index", of: -2)
    call.setFunction("__tostring") { (call) throws(LuaFailure) in
      call.pushField("socket", of: 1)
      guard call.type(at: -1) != .nil else {
        call.pop()
        throw call.typeFailure(argument: 1, expected: "copas socket")
      }
      guard milonga_tostring(call.state, -1) == LUA_OK else { throw .raised }
      call.push(" (copas wrapped)")
      call.concatenate(2)
      return .results(1)
    }
    stored = LuaStored(popping: call)
  }

  /// Calls the method `name` of the wrapped (or plain) socket with the same arguments.
  static func forward(_ name: StaticString) -> LuaBody {
    { (call) throws(LuaFailure) in
      guard call.phase == .entered else { return .results(call.count) }
      if call.type(at: 1) == .table {
        call.pushField("socket", of: 1)
        if call.type(at: -1) == .nil { call.pop() } else { call.replace(at: 1) }
      }
      call.push(name)
      guard milonga_gettable(call.state, 1) == LUA_OK else { throw .raised }
      guard call.type(at: -1) != .nil else {
        call.pushNil()
        call.push("not implemented by LuaSec")
        return .results(2)
      }
      call.insert(at: 1)
      return .call(arguments: call.count - 1)
    }
  }

  func isWrapped(_ call: LuaCall, at index: Int) -> Bool {
    guard call.type(at: index) == .table, lua_getmetatable(call.state, Int32(index)) != 0 else {
      return false
    }
    defer { call.pop() }
    return call.identity(at: -1) == metatable
  }

  /// Replaces the socket on top of the stack with its wrapper.
  func wrapTop(_ call: LuaCall) {
    call.pushTable(fields: 1)
    call.insert(at: -2)
    call.setField("socket", of: -2)
    stored.push(onto: call)
    milonga_setmetatable(call.state, -2)
  }
}

extension CopasLoop {
  /// Puts the socket in the place of its wrapper.
  package func unwrap(_ call: LuaCall, at index: Int) {
    guard isWrapped(call, at: index) else { return }
    call.pushField("socket", of: index)
    call.replace(at: index)
  }

  func isWrapped(_ call: LuaCall, at index: Int) -> Bool {
    module.wrapper.isWrapped(call, at: index)
      || module.datagramWrapper.isWrapped(call, at: index)
  }

  /// The same for the first argument of a function whose upvalue is the string `socket`, which then
  /// need not be looked for.
  @inline(__always)
  func unwrapSelf(_ call: LuaCall) {
    guard lua_type(call.state, 1) == LUA_TTABLE else { return }
    call.pushUpvalue(1)
    lua_rawget(call.state, 1)
    // Objects of other libraries may be tables, too.
    if lua_type(call.state, -1) == LUA_TNIL { call.pop() } else { call.replace(at: 1) }
  }

  /// `wrap(socket)`: pushes the wrapper of the value at `index`, which may be one already.
  func pushWrapped(_ call: LuaCall, at index: Int) throws(LuaFailure) {
    if isWrapped(call, at: index) {
      call.pushValue(at: index)
      return
    }
    let isStream: Bool
    if let socket = sockets.any.payload(call, at: index) {
      socket.pointee.timeouts.block = 0
      isStream = socket.pointee.kind != .datagram
    } else {
      try stopBlocking(call, at: index)
      let name = call.describe(at: index)
      isStream = name.hasPrefix("SSL") || name.hasPrefix("tcp")
      limitGoodbye(call, at: index)
    }
    call.pushValue(at: index)
    (isStream ? module.wrapper : module.datagramWrapper)!.wrapTop(call)
  }

  /// Calls `settimeout(0)` of an object of another library.
  func stopBlocking(_ call: LuaCall, at index: Int) throws(LuaFailure) {
    let top = call.count
    call.pushValue(at: index)
    let type = call.type(at: -1)
    guard type == .userdata || type == .table else {
      throw call.typeFailure(argument: index, expected: "socket")
    }
    call.push("settimeout")
    guard milonga_gettable(call.state, -2) == LUA_OK else { throw .raised }
    call.insert(at: -2)
    call.push(0)
    guard milonga_pcall(call.state, 2, 0, 0) == LUA_OK else { throw .raised }
    call.count = top
  }
}
