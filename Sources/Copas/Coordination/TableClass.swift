import CMilongaLua
import MilongaLua

/// Objects of a module written in Swift that are tables for Lua, because programs give them fields
/// of their own. Each holds its Swift part in a userdata, under a key that Lua cannot name.
final class TableClass<Object: AnyObject> {
  private let name: String
  private let key: LuaRegistryKey
  private let parts: LuaClass<Object>
  /// The metatable, which holds the methods as well.
  private let metatable: LuaStored

  /// - Parameters:
  ///   - key: one of its own for each class.
  ///   - discard: runs when Lua has collected an object.
  init(
    _ call: LuaCall, name: String, key: LuaRegistryKey, discard: @escaping (Object) -> Void
  ) {
    self.name = name
    self.key = key
    parts = LuaClass(call, name: name, finalize: { discard($0) })
    call.pushTable(fields: 12)
    call.pushValue(at: -1)
    call.setField("__index", of: -2)
    metatable = LuaStored(popping: call)
  }

  /// Pushes the table of methods.
  func pushMethods(onto call: LuaCall) { metatable.push(onto: call) }

  /// Pushes a new object, with room for so many other fields.
  func push(_ object: Object, onto call: LuaCall, fields: Int = 0) {
    call.pushTable(fields: fields + 1)
    parts.push(object, onto: call)
    call.setField(key, of: -2)
    metatable.push(onto: call)
    call.setMetatable(of: -2)
  }

  /// The Swift part of the object at `index`; an argument error for anything else.
  func check(_ call: LuaCall, at index: Int) throws(LuaFailure) -> Object {
    if lua_type(call.state, Int32(index)) == LUA_TTABLE {
      call.pushField(key, of: index)
      defer { call.pop() }
      if let object = parts.payload(call, at: -1) { return object.pointee }
    }
    throw call.typeFailure(argument: index, expected: name)
  }
}
