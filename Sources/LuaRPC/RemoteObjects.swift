import CMilongaLua
import CMilongaShims
import MilongaLua

/// Stands for an object of the other side.
struct RemoteObject {
  let peer: RPCPeer
  let id: UInt32
}

/// What stands for the objects of the other side, by their ids: a weak table, so that an object has
/// one such value as long as the program has it.
final class RemoteObjects {
  private let proxies: LuaStored

  init(_ call: LuaCall) {
    call.pushTable()
    call.pushTable(fields: 1)
    call.push("v")
    call.setField("__mode", of: -2)
    milonga_setmetatable(call.state, -2)
    proxies = LuaStored(popping: call)
  }

  /// Pushes what stands for the object; `push` makes it if there is none.
  func push(_ call: LuaCall, _ id: UInt32, make push: () -> Void) {
    proxies.push(onto: call)
    milonga_rawgeti(call.state, -1, lua_Integer(id))
    if call.type(at: -1) == .nil {
      call.pop()
      push()
      call.pushValue(at: -1)
      milonga_rawseti(call.state, -3, lua_Integer(id))
    }
    call.remove(at: -2)
  }
}
