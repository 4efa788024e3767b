import CLua

/// Several classes of one payload type, for functions that take an object of any of them.
public struct LuaClassGroup<Payload> {
  /// What error messages call it.
  public let name: String
  private let metatables: [UnsafeRawPointer]

  public init(name: String, _ classes: [LuaClass<Payload>]) {
    self.name = name
    metatables = classes.map(\.metatable)
  }

  /// The classes of both groups.
  public func union(_ other: LuaClassGroup, name: String) -> LuaClassGroup {
    LuaClassGroup(name: name, metatables: metatables + other.metatables)
  }

  private init(name: String, metatables: [UnsafeRawPointer]) {
    self.name = name
    self.metatables = metatables
  }

  /// The payload of the userdata at `index`, nil when it is of none of the classes.
  public func payload(_ call: LuaCall, at index: Int) -> UnsafeMutablePointer<Payload>? {
    guard let block = lua_touserdata(call.state, Int32(index)),
      lua_getmetatable(call.state, Int32(index)) != 0
    else { return nil }
    let found = lua_topointer(call.state, -1)
    lua_settop(call.state, -2)
    for metatable in metatables where metatable == found {
      return block.assumingMemoryBound(to: Payload.self)
    }
    return nil
  }
}
