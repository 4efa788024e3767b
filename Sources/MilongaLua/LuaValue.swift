import CMilongaLua

/// Any Lua value, as a Swift program holds it.
public enum LuaValue {
  case `nil`
  case boolean(Bool)
  case integer(Int)
  case number(Double)
  /// The bytes of a string; Lua strings need not be UTF-8. See ``string``.
  case bytes([UInt8])
  case table(LuaTable)
  case function(LuaFunction)
  /// A userdata, thread or light userdata: it can be handed back to Lua.
  case opaque(LuaReference)

  /// The text of a string, nil for other values.
  public var string: String? {
    if case .bytes(let bytes) = self { String(decoding: bytes, as: UTF8.self) } else { nil }
  }
}

extension LuaValue: LuaConvertible {
  public static var luaTypeName: String { "value" }

  public init?(_ call: LuaCall, at index: Int) {
    switch call.type(at: index) {
    case .nil, .none: self = .nil
    case .boolean: self = .boolean(call.boolean(at: index))
    case .number:
      if lua_isinteger(call.state, Int32(index)) != 0 {
        self = .integer(Int(lua_tointegerx(call.state, Int32(index), nil)))
      } else {
        self = .number(lua_tonumberx(call.state, Int32(index), nil))
      }
    case .string:
      let bytes = call.bytesIfString(at: index)!
      guard call.hasSystemRoom(for: bytes.count) else { return nil }
      self = .bytes(Array(bytes))
    case .table:
      guard let table = LuaTable(call, at: index) else { return nil }
      self = .table(table)
    case .function:
      guard let function = LuaFunction(call, at: index) else { return nil }
      self = .function(function)
    case .userdata, .thread, .lightUserdata:
      guard let reference = LuaReference(call, at: index) else { return nil }
      self = .opaque(reference)
    }
  }

  public func push(onto call: LuaCall) {
    switch self {
    case .nil: call.pushNil()
    case .boolean(let value): call.push(value)
    case .integer(let value): call.push(value)
    case .number(let value): call.push(value)
    case .bytes(let bytes): bytes.withUnsafeBytes { call.push($0) }
    case .table(let table): table.reference.push(onto: call)
    case .function(let function): function.reference.push(onto: call)
    case .opaque(let reference): reference.push(onto: call)
    }
  }
}

extension LuaValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
  public init(stringLiteral text: String) { self = .bytes(Array(text.utf8)) }
  public init(integerLiteral integer: Int) { self = .integer(integer) }
  public init(floatLiteral number: Double) { self = .number(number) }
  public init(booleanLiteral boolean: Bool) { self = .boolean(boolean) }
  public init(nilLiteral: ()) { self = .nil }
}

/// A Lua object kept alive by Swift. It keeps its ``LuaState`` alive, too: do not store one in a
/// closure registered with the same state, which would keep both for ever.
public final class LuaReference: LuaConvertible {
  public static var luaTypeName: String { "object" }

  let owner: LuaState
  private let value: LuaStored

  /// Nil in states that no ``LuaState`` owns.
  public init?(_ call: LuaCall, at index: Int) {
    guard let owner = LuaState.owner(of: call) else { return nil }
    self.owner = owner
    value = LuaStored(call, at: index)
  }

  /// Pushes the object; nil in the place of an object of another state.
  public func push(onto call: LuaCall) {
    if LuaState.owner(of: call) === owner { value.push(onto: call) } else { call.pushNil() }
  }
}

/// A Lua table held by Swift.
public struct LuaTable: LuaConvertible {
  public static var luaTypeName: String { "table" }
  let reference: LuaReference

  public init?(_ call: LuaCall, at index: Int) {
    guard call.type(at: index) == .table, let reference = LuaReference(call, at: index) else {
      return nil
    }
    self.reference = reference
  }

  public func push(onto call: LuaCall) { reference.push(onto: call) }

  /// `table[key]`, metamethods included.
  public func get<Result: LuaConvertible>(
    _ key: some LuaConvertible, as type: Result.Type = Result.self
  ) throws(LuaError) -> Result {
    try reference.owner.index(reference, key)
  }

  /// `table[key] = value`, metamethods included.
  public func set(_ key: some LuaConvertible, to value: some LuaConvertible) throws(LuaError) {
    try reference.owner.assign(reference, key, value)
  }
}

/// A Lua function held by Swift.
public struct LuaFunction: LuaConvertible {
  public static var luaTypeName: String { "function" }
  let reference: LuaReference

  public init?(_ call: LuaCall, at index: Int) {
    guard call.type(at: index) == .function, let reference = LuaReference(call, at: index) else {
      return nil
    }
    self.reference = reference
  }

  public func push(onto call: LuaCall) { reference.push(onto: call) }

  /// Calls the function and gives its first result as the type asked for.
  ///
  /// - Throws: ``LuaError``, with a traceback, when the function fails or the result is of another
  ///   type.
  public func callAsFunction<each Argument: LuaConvertible, Result: LuaConvertible>(
    _ arguments: repeat each Argument, as type: Result.Type = Result.self
  ) throws(LuaError) -> Result {
    try reference.owner.invoke(reference, repeat each arguments)
  }
}
