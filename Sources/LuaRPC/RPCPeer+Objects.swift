import CMilongaLua
import CMilongaShims
import LuaCodec
import MilongaLua
import MilongaRPC

// Objects of a declared type stay where they are: the other side gets their ids, which count on this
// connection only and as long as it is open.
extension RPCPeer {
  /// The id of an object of this side that is sent by reference; nil when it is not.
  ///
  /// - Parameter type: where the name of its declared type is, 0 when it has none.
  func localID(_ call: LuaCall, _ index: Int, type: Int) throws(GraphFailure) -> UInt32? {
    guard objectTable != 0 || type != 0, userdataReference != 0 else { return nil }
    if objectTable == 0 {
      call.pushTable()
      objectTable = call.retainTop()
      call.pushTable()
      typeTable = call.retainTop()
    }
    call.pushRetained(objectTable)
    defer { call.pop() }
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    let known = call.integerIfInteger(at: -1)
    call.pop()
    if let known { return UInt32(known) }
    guard type != 0 else { return nil }
    guard objectCount < configuration.limits.references else {
      throw GraphFailure(
        place: "",
        reason: "the connection holds \(objectCount) objects by reference already (max_references)")
    }
    objectCount += 1
    call.pushValue(at: index)
    call.push(objectCount)
    milonga_rawset(call.state, -3)
    call.pushValue(at: index)
    milonga_rawseti(call.state, -2, lua_Integer(objectCount))
    call.pushRetained(typeTable)
    call.pushValue(at: type)
    milonga_rawseti(call.state, -2, lua_Integer(objectCount))
    call.pop()
    return UInt32(objectCount)
  }

  /// Pushes the object of this side with the id; false, with nothing pushed, when there is none.
  func pushObject(_ call: LuaCall, _ id: UInt32) -> Bool {
    guard objectTable != 0, call.reserve(4) else { return false }
    call.pushRetained(objectTable)
    milonga_rawgeti(call.state, -1, lua_Integer(id))
    call.remove(at: -2)
    if call.type(at: -1) != .nil { return true }
    call.pop()
    return false
  }

  /// Pushes the name of the type of the object of this side at `index`, or nil.
  func pushTypeName(_ call: LuaCall, of index: Int) {
    let index = Int(lua_absindex(call.state, Int32(index)))
    guard objectTable != 0 else { return call.pushNil() }
    call.pushRetained(objectTable)
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
    guard let id = call.integerIfInteger(at: -1) else { return }
    call.pop()
    call.pushRetained(typeTable)
    milonga_rawgeti(call.state, -1, lua_Integer(id))
    call.remove(at: -2)
  }

  /// Pushes what stands for the object of the other side with the id: always the same, as long as
  /// somebody has it.
  func pushProxy(_ call: LuaCall, _ id: UInt32) {
    guard call.reserve(8) else { return call.pushNil() }
    if proxyTable == 0 {
      call.pushTable()
      call.pushTable(fields: 1)
      call.push("v")
      call.setField("__mode", of: -2)
      milonga_setmetatable(call.state, -2)
      proxyTable = call.retainTop()
    }
    call.pushRetained(proxyTable)
    milonga_rawgeti(call.state, -1, lua_Integer(id))
    if call.type(at: -1) == .nil {
      call.pop()
      library.objects.push(RemoteObject(peer: self, id: id), onto: call)
      call.pushValue(at: -1)
      milonga_rawseti(call.state, -3, lua_Integer(id))
    }
    call.remove(at: -2)
  }
}
