import CLua
import CShims
import Lua
import RPC

/// Walks a path through Lua tables. Reads raw: what is not in the table itself, but would come from
/// a metatable, cannot be reached from outside.
///
/// The table that holds the current value, and the value, are the two topmost values of the stack.
struct LuaNamespaceCursor: NamespaceCursor {
  private let state: OpaquePointer
  private var hasParent = false
  /// The last name, within the path's bytes.
  private(set) var name = UnsafeRawBufferPointer(start: nil, count: 0)

  /// Starts at the table on top of the stack.
  init(_ call: LuaCall) { state = call.state }

  mutating func descend(_ name: UnsafeRawBufferPointer) -> Bool {
    guard lua_type(state, -1) == LUA_TTABLE else { return false }
    if hasParent { milonga_remove(state, -2) }
    hasParent = true
    self.name = name
    _ = lua_pushlstring(
      state, name.baseAddress?.assumingMemoryBound(to: CChar.self), name.count)
    lua_rawget(state, -2)
    return true
  }

  var isCallable: Bool { lua_type(state, -1) == LUA_TFUNCTION }
}
