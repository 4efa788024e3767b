import CMilongaLua
import CMilongaShims

/// A Swift type whose values can go to Lua and come back.
public protocol LuaConvertible {
  /// What error messages call the type, e.g. `number`.
  static var luaTypeName: String { get }

  /// The value at `index` of the stack, nil when it is of another type. Must leave the stack as it
  /// was and must not run Lua code.
  init?(_ call: LuaCall, at index: Int)

  /// Pushes the value; exactly one slot of the stack.
  func push(onto call: LuaCall)
}

extension Bool: LuaConvertible {
  public static var luaTypeName: String { "boolean" }
  public init?(_ call: LuaCall, at index: Int) {
    guard call.type(at: index) == .boolean else { return nil }
    self = call.boolean(at: index)
  }
  public func push(onto call: LuaCall) { call.push(self) }
}

extension LuaConvertible where Self: FixedWidthInteger {
  public static var luaTypeName: String { "integer" }
  public init?(_ call: LuaCall, at index: Int) {
    var isInteger: Int32 = 0
    let integer = lua_tointegerx(call.state, Int32(index), &isInteger)
    guard isInteger != 0, let exact = Self(exactly: integer) else { return nil }
    self = exact
  }
  /// Integers beyond Lua's 64 signed bits become floats.
  public func push(onto call: LuaCall) {
    if let integer = Int(exactly: self) { call.push(integer) } else { call.push(Double(self)) }
  }
}

extension Int: LuaConvertible {}
extension Int64: LuaConvertible {}
extension Int32: LuaConvertible {}
extension UInt8: LuaConvertible {}
extension UInt16: LuaConvertible {}
extension UInt32: LuaConvertible {}
extension UInt64: LuaConvertible {}

extension Double: LuaConvertible {
  public static var luaTypeName: String { "number" }
  public init?(_ call: LuaCall, at index: Int) {
    guard let number = call.numberIfNumber(at: index) else { return nil }
    self = number
  }
  public func push(onto call: LuaCall) { call.push(self) }
}

extension String: LuaConvertible {
  public static var luaTypeName: String { "string" }
  public init?(_ call: LuaCall, at index: Int) {
    guard call.type(at: index) == .string, let text = call.stringIfString(at: index) else {
      return nil
    }
    self = text
  }
  public func push(onto call: LuaCall) { call.push(self) }
}

extension Optional: LuaConvertible where Wrapped: LuaConvertible {
  public static var luaTypeName: String { "\(Wrapped.luaTypeName) or nil" }
  public init?(_ call: LuaCall, at index: Int) {
    if call.isNoneOrNil(at: index) {
      self = .none
    } else if let wrapped = Wrapped(call, at: index) {
      self = .some(wrapped)
    } else {
      return nil
    }
  }
  public func push(onto call: LuaCall) {
    if let self { self.push(onto: call) } else { call.pushNil() }
  }
}

extension Array: LuaConvertible where Element: LuaConvertible {
  public static var luaTypeName: String { "array of \(Element.luaTypeName)" }

  /// The elements 1 to n of a table, where n is its raw length.
  public init?(_ call: LuaCall, at index: Int) {
    guard call.type(at: index) == .table, call.reserve(3) else { return nil }
    let table = lua_absindex(call.state, Int32(index))
    let count = Int(lua_rawlen(call.state, table))
    guard call.hasSystemRoom(for: count * MemoryLayout<Element>.stride) else { return nil }
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for position in 0..<count {
      milonga_rawgeti(call.state, table, lua_Integer(position + 1))
      defer { call.pop() }
      guard let element = Element(call, at: -1) else { return nil }
      elements.append(element)
    }
    self = elements
  }

  public func push(onto call: LuaCall) {
    call.pushTable(elements: count)
    guard call.reserve(3) else { return }
    for (position, element) in enumerated() {
      // With memory for the table there may be none for what is in it.
      if call.isExhausted { return }
      element.push(onto: call)
      milonga_rawseti(call.state, -2, lua_Integer(position + 1))
    }
  }
}

extension Dictionary: LuaConvertible where Key: LuaConvertible, Value: LuaConvertible {
  public static var luaTypeName: String {
    "table of \(Key.luaTypeName) to \(Value.luaTypeName)"
  }

  public init?(_ call: LuaCall, at index: Int) {
    guard call.type(at: index) == .table, call.reserve(5) else { return nil }
    let table = lua_absindex(call.state, Int32(index))
    var entries: [Key: Value] = [:]
    call.pushNil()
    while milonga_next(call.state, table) != 0 {
      // A copy of the key: reading a number as text would change it under lua_next.
      call.pushValue(at: -2)
      guard let key = Key(call, at: -1), let value = Value(call, at: -2) else {
        call.pop(3)
        return nil
      }
      entries[key] = value
      call.pop(2)
    }
    self = entries
  }

  /// NaN is no key in Lua; such an entry is left out.
  public func push(onto call: LuaCall) {
    call.pushTable(fields: count)
    guard call.reserve(4) else { return }
    for (key, value) in self {
      if call.isExhausted { return }
      key.push(onto: call)
      if call.isNoneOrNil(at: -1) || call.numberIfNumber(at: -1)?.isNaN == true {
        call.pop()
        continue
      }
      value.push(onto: call)
      milonga_rawset(call.state, -3)
    }
  }
}
