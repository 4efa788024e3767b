import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaRPC

/// Walks a path through Lua tables. It reads without metamethods: what a metatable would provide
/// cannot be reached from outside.
///
/// The current value is on top of the stack. Below it is the table that holds it, unless that is
/// the namespace itself.
struct LuaNamespaceCursor: NamespaceCursor {
  private let state: OpaquePointer
  private let namespace: Int32
  private let path: Int32
  private let pathLength: Int
  /// How many names led here.
  private var depth = 0
  /// The last name, within the path's bytes.
  private var name = UnsafeRawBufferPointer(start: nil, count: 0)

  /// Starts at the table at `namespace`, for the path at `path`, a string of this length.
  init(_ call: LuaCall, namespace: Int, path: Int, length: Int) {
    state = call.state
    self.namespace = Int32(namespace)
    self.path = Int32(path)
    pathLength = length
  }

  mutating func descend(_ name: UnsafeRawBufferPointer) -> Bool {
    let isAtStart = depth == 0
    guard lua_type(state, isAtStart ? namespace : -1) == LUA_TTABLE else { return false }
    dropParent()
    depth += 1
    self.name = name
    pushName()
    lua_rawget(state, isAtStart ? namespace : -2)
    return true
  }

  var isCallable: Bool { lua_type(state, -1) == LUA_TFUNCTION }

  /// Leaves nothing but the current value.
  func dropParent() {
    if depth > 1 { milonga_remove(state, -2) }
  }

  /// Stores the value at `index` in the place of the current one.
  func store(valueAt index: Int) {
    let table = depth == 1 ? namespace : lua_absindex(state, -2)
    pushName()
    lua_pushvalue(state, Int32(index))
    lua_rawset(state, table)
  }

  private func pushName() {
    if name.count == pathLength {
      // The name is the path, which is a string of Lua already.
      lua_pushvalue(state, path)
    } else {
      _ = lua_pushlstring(
        state, name.baseAddress?.assumingMemoryBound(to: CChar.self), name.count)
    }
  }
}
