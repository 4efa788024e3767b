import CMilongaLua
import CMilongaShims
import LuaCodec
import MilongaLua

/// Objects of this side that were sent by reference: each has an id, which counts on its connection
/// only and as long as that is open.
///
/// A class, because tables that grow may run finalizers, and these may call on the same connection.
final class LocalObjects {
  /// Ids by objects, objects by ids.
  private let objects: LuaStored
  /// The names of the objects' types by their ids.
  private let types: LuaStored
  private var count = 0
  private let limit: Int

  /// - Parameter limit: as many objects may be held.
  init(_ call: LuaCall, limit: Int) {
    self.limit = limit
    call.pushTable()
    objects = LuaStored(popping: call)
    call.pushTable()
    types = LuaStored(popping: call)
  }

  /// The id of the object at `index`; nil when it is not sent by reference.
  ///
  /// - Parameter type: where the name of its declared type is, 0 when it has none.
  func id(_ call: LuaCall, of index: Int, type: Int) throws(GraphFailure) -> UInt32? {
    objects.push(onto: call)
    defer { call.pop() }
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    let known = call.integerIfInteger(at: -1)
    call.pop()
    if let known { return UInt32(known) }
    guard type != 0 else { return nil }
    guard count < limit else {
      throw GraphFailure(
        place: "",
        reason: "the connection holds \(count) objects by reference already (max_references)")
    }
    count += 1
    let id = count
    call.pushValue(at: index)
    call.push(id)
    milonga_rawset(call.state, -3)
    call.pushValue(at: index)
    milonga_rawseti(call.state, -2, lua_Integer(id))
    types.push(onto: call)
    call.pushValue(at: type)
    milonga_rawseti(call.state, -2, lua_Integer(id))
    call.pop()
    return UInt32(id)
  }

  /// Pushes the object with the id; false, with nothing pushed, when there is none.
  func push(_ call: LuaCall, _ id: UInt32) -> Bool {
    guard call.reserve(4) else { return false }
    objects.push(onto: call)
    milonga_rawgeti(call.state, -1, lua_Integer(id))
    call.remove(at: -2)
    if call.type(at: -1) != .nil { return true }
    call.pop()
    return false
  }

  /// Pushes the name of the type of the object at `index`, or nil.
  func pushTypeName(_ call: LuaCall, of index: Int) {
    let index = Int(lua_absindex(call.state, Int32(index)))
    objects.push(onto: call)
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
    guard let id = call.integerIfInteger(at: -1) else { return }
    call.pop()
    types.push(onto: call)
    milonga_rawgeti(call.state, -1, lua_Integer(id))
    call.remove(at: -2)
  }
}
