/// Several classes of one payload type, for functions that take an object of any of them.
public struct LuaClassGroup<Payload> {
  /// What error messages call it.
  public let name: String
  private let marks: [UInt]

  public init(name: String, _ classes: [LuaClass<Payload>]) {
    self.name = name
    marks = classes.map(\.mark)
  }

  /// The classes of both groups.
  public func union(_ other: LuaClassGroup, name: String) -> LuaClassGroup {
    LuaClassGroup(name: name, marks: marks + other.marks)
  }

  private init(name: String, marks: [UInt]) {
    self.name = name
    self.marks = marks
  }

  /// The payload of the userdata at `index`, nil when it is of none of the classes.
  public func payload(_ call: LuaCall, at index: Int) -> UnsafeMutablePointer<Payload>? {
    guard let (mark, payload) = LuaClass<Payload>.marked(call, at: index) else { return nil }
    for known in marks where known == mark { return payload }
    return nil
  }
}
