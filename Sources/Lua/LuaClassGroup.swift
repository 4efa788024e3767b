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
    guard let (mark, payload) = LuaClass<Payload>.marked(call, at: index) else { return nil }
    for metatable in metatables where metatable == mark { return payload }
    return nil
  }
}
