import CMilongaLua
import CMilongaShims
import LuaCodec
import MilongaLua

/// Objects of this side that were sent by reference: each has an id, which counts on its connection only and as
/// long as that is open.
///
/// A class, because tables that grow may run finalizers, and these may call on the same connection.
final class LocalObjects {
  private let main: LuaCall
  /// Ids by objects, objects by ids.
  private let objects: Int32
  /// The names of the objects' types by their ids.
  private let types: Int32
  private var count = 0
  private let limit: Int

  /// - Parameters:
  ///   - main: with its stack what is kept is let go.
  ///   - limit: as many objects may be held.
  init(_ call: LuaCall, main: LuaCall, limit: Int) {
    self.main = main
    self.limit = limit
    call.pushTable()
    objects = call.retainTop()
    call.pushTable()
    types = call.retainTop()
  }

  deinit {
    main.release(objects)
    main.release(types)
  }

  /// The id of the object at `index`; nil when it is not sent by reference.
  ///
  /// - Parameter type: where the name of its declared type is, 0 when it has none.
  func id(_ call: LuaCall, of index: Int, type: Int) throws(GraphFailure) -> UInt32? {
    call.pushRetained(objects)
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
    call.pushRetained(types)
    call.pushValue(at: type)
    milonga_rawseti(call.state, -2, lua_Integer(id))
    call.pop()
    return UInt32(id)
  }

  /// Pushes the object with the id; false, with nothing pushed, when there is none.
  func push(_ call: LuaCall, _ id: UInt32) -> Bool {
    guard call.reserve(4) else { return false }
    call.pushRetained(objects)
    milonga_rawgeti(call.state, -1, lua_Integer(id))
    call.remove(at: -2)
    if call.type(at: -1) != .nil { return true }
    call.pop()
    return false
  }

  /// Pushes the name of the type of the object at `index`, or nil.
  func pushTypeName(_ call: LuaCall, of index: Int) {
    let index = Int(lua_absindex(call.state, Int32(index)))
    call.pushRetained(objects)
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
    guard let id = call.integerIfInteger(at: -1) else { return }
    call.pop()
    call.pushRetained(types)
    milonga_rawgeti(call.state, -1, lua_Integer(id))
    call.remove(at: -2)
  }
}
