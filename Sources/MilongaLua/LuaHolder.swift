import CMilongaLua
import CMilongaShims

/// A Swift object kept alive by a Lua state, as a userdata that scripts have no use for.
public enum LuaHolder<Object: AnyObject> {
  /// Pushes a userdata that owns `object` until it is collected or the state closes.
  public static func push(_ object: Object, onto call: LuaCall) {
    // A function's box owns what it captures; calling it hands the object out to Swift.
    call.push(function: { [object] (call) throws(LuaFailure) in
      lua_pushlightuserdata(call.state, Unmanaged.passUnretained(object).toOpaque())
      return .results(1)
    })
  }

  /// The object owned by the value at `index`, which ``push(_:onto:)`` made for the same type; nil
  /// for nil.
  public static func object(_ call: LuaCall, at index: Int) -> Object? {
    guard call.type(at: index) == .function else { return nil }
    call.pushValue(at: index)
    guard milonga_pcall(call.state, 0, 1, 0) == LUA_OK else {
      call.pop()
      return nil
    }
    defer { call.pop() }
    return lua_touserdata(call.state, -1).map {
      Unmanaged<Object>.fromOpaque($0).takeUnretainedValue()
    }
  }
}
