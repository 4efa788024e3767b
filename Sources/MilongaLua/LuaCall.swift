import CMilongaLua
import CMilongaShims

/// The module author's view of one call from Lua: its arguments, its results, its stack.
///
/// A thin layer over the C stack, for functions that must be fast. Arguments are at indices 1 to
/// ``count``; results are pushed. None of its methods raises a Lua error across the Swift frame:
/// methods that check throw ``LuaFailure``, and the raw methods never run Lua code.
@frozen
public struct LuaCall {
  /// The `lua_State` of the running coroutine.
  public let state: OpaquePointer
  @usableFromInline let resumption: milonga_resumption

  @inlinable
  public init(_ state: OpaquePointer) {
    self.state = state
    resumption = milonga_resumption(phase: 0, state: 0)
  }

  /// The call as it would be after a wait.
  @inlinable
  public var asResumed: LuaCall { LuaCall(state, milonga_resumption(phase: 1, state: 0)) }

  @inlinable
  init(_ state: OpaquePointer, _ resumption: milonga_resumption) {
    self.state = state
    self.resumption = resumption
  }

  /// Why a function runs: see ``LuaOutcome``.
  public enum Phase: Sendable {
    case entered, resumed, returned, failed
  }

  /// Why the function runs now.
  @inlinable
  public var phase: Phase {
    switch resumption.phase {
    case 0: .entered
    case 1: .resumed
    case 2: .returned
    default: .failed
    }
  }

  /// The `state` given with the outcome that ended the last run; 0 when the function is entered.
  @inlinable
  public var step: Int { Int(resumption.state) }

  // MARK: The stack

  /// The number of values on the stack; on entry, the number of arguments.
  @inlinable
  public var count: Int {
    get { Int(lua_gettop(state)) }
    nonmutating set { lua_settop(state, Int32(truncatingIfNeeded: newValue)) }
  }

  /// Makes room for `slots` more values; Lua guarantees 20 on entry. False at Lua's limit.
  @inlinable
  public func reserve(_ slots: Int) -> Bool {
    lua_checkstack(state, Int32(truncatingIfNeeded: slots)) != 0
  }

  @inlinable
  public func pop(_ count: Int = 1) { lua_settop(state, -Int32(truncatingIfNeeded: count) - 1) }

  /// Pushes a copy of the value at `index`.
  @inlinable
  public func pushValue(at index: Int) { lua_pushvalue(state, Int32(index)) }

  /// Moves the topmost value to `index`, shifting those above up.
  @inlinable
  public func insert(at index: Int) { milonga_insert(state, Int32(index)) }

  /// Removes the value at `index`, shifting those above down.
  @inlinable
  public func remove(at index: Int) { milonga_remove(state, Int32(index)) }

  /// Pops the topmost value into `index`.
  @inlinable
  public func replace(at index: Int) { milonga_replace(state, Int32(index)) }

  // MARK: Pushing

  @inlinable
  public func pushNil() { lua_pushnil(state) }

  @inlinable
  public func push(_ value: Bool) { lua_pushboolean(state, value ? 1 : 0) }

  @inlinable
  public func push(_ value: Int) { lua_pushinteger(state, lua_Integer(value)) }

  @inlinable
  public func push(_ value: Double) { lua_pushnumber(state, value) }

  /// Pushes a Lua string of these bytes; an empty one when there is no memory for them, see
  /// ``isExhausted``.
  @inlinable
  public func push(_ bytes: UnsafeRawBufferPointer) {
    milonga_pushlstring(
      state, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
  }

  @inlinable
  public func push(_ text: StaticString) {
    text.withUTF8Buffer { push(UnsafeRawBufferPointer($0)) }
  }

  @_disfavoredOverload
  public func push(_ text: String) {
    var text = text
    text.withUTF8 { push(UnsafeRawBufferPointer($0)) }
  }

  /// Pushes the message handler that `lua5.4` has: error text with a traceback.
  public func pushTracebackHandler() { lua_pushcclosure(state, milonga_traceback, 0) }

  // MARK: Looking at values

  @inlinable
  public func type(at index: Int) -> LuaType { LuaType(rawValue: lua_type(state, Int32(index)))! }

  @inlinable
  public func isNoneOrNil(at index: Int) -> Bool { lua_type(state, Int32(index)) <= 0 }

  /// Lua's truth: everything but nil and false.
  @inlinable
  public func boolean(at index: Int) -> Bool { lua_toboolean(state, Int32(index)) != 0 }

  /// The bytes of a string (or of a number, which becomes a string in its place), nil for others.
  /// Valid as long as the value is on the stack.
  @inlinable
  public func bytesIfString(at index: Int) -> UnsafeRawBufferPointer? {
    var count = 0
    guard let start = lua_tolstring(state, Int32(index), &count) else { return nil }
    return UnsafeRawBufferPointer(start: start, count: count)
  }

  /// The number, or the number that a string spells; nil for others.
  @inlinable
  public func numberIfNumber(at index: Int) -> Double? {
    var isNumber: Int32 = 0
    let number = lua_tonumberx(state, Int32(index), &isNumber)
    return isNumber != 0 ? number : nil
  }

  /// The integer, or a float or string that stands for one exactly; nil for others.
  @inlinable
  public func integerIfInteger(at index: Int) -> Int? {
    var isInteger: Int32 = 0
    let integer = lua_tointegerx(state, Int32(index), &isInteger)
    return isInteger != 0 ? Int(integer) : nil
  }

  /// The text of a string or number, nil for others, and when there is no memory for it (the state
  /// is exhausted then). Bytes that are not UTF-8 are repaired.
  public func stringIfString(at index: Int) -> String? {
    guard let bytes = bytesIfString(at: index), hasSystemRoom(for: bytes.count) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The identity of a table, function, thread or userdata.
  @inlinable
  public func identity(at index: Int) -> UnsafeRawPointer? { lua_topointer(state, Int32(index)) }

  /// What `type` says of the value.
  public func typeName(at index: Int) -> String {
    String(cString: lua_typename(state, lua_type(state, Int32(index))))
  }

  // MARK: Checked arguments (the messages are luaL_check*'s)

  @inlinable
  public func number(at index: Int) throws(LuaFailure) -> Double {
    guard let number = numberIfNumber(at: index) else {
      throw typeFailure(argument: index, expected: "number")
    }
    return number
  }

  /// The number, or `fallback` for nil and none.
  @inlinable
  public func number(at index: Int, default fallback: Double) throws(LuaFailure) -> Double {
    isNoneOrNil(at: index) ? fallback : try number(at: index)
  }

  /// The integer, or a float or string that stands for one exactly.
  @inlinable
  public func integer(at index: Int) throws(LuaFailure) -> Int {
    guard let integer = integerIfInteger(at: index) else {
      if lua_isnumber(state, Int32(index)) != 0 {
        throw argumentFailure(index, "number has no integer representation")
      }
      throw typeFailure(argument: index, expected: "number")
    }
    return integer
  }

  @inlinable
  public func bytes(at index: Int) throws(LuaFailure) -> UnsafeRawBufferPointer {
    guard let bytes = bytesIfString(at: index) else {
      throw typeFailure(argument: index, expected: "string")
    }
    return bytes
  }

  /// The text of a string or number, ended by NUL. Valid as long as the value is on the stack.
  @inlinable
  public func cString(at index: Int) throws(LuaFailure) -> UnsafePointer<CChar> {
    guard let text = lua_tolstring(state, Int32(index), nil) else {
      throw typeFailure(argument: index, expected: "string")
    }
    return text
  }

  public func string(at index: Int) throws(LuaFailure) -> String {
    let bytes = try bytes(at: index)
    guard hasSystemRoom(for: bytes.count) else { throw memoryFailure() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The text, or `fallback` for nil and none.
  public func string(at index: Int, default fallback: String) throws(LuaFailure) -> String {
    isNoneOrNil(at: index) ? fallback : try string(at: index)
  }

  /// The value that stands for the string in `options`; `fallback` for nil and none.
  public func option<Value>(
    at index: Int, default fallback: Value, _ options: KeyValuePairs<String, Value>
  ) throws(LuaFailure) -> Value {
    if isNoneOrNil(at: index) { return fallback }
    let text = String(cString: try cString(at: index))
    for (name, value) in options where name == text { return value }
    throw argumentFailure(index, "invalid option '\(text)'")
  }

  @inlinable
  public func check(_ index: Int, is type: LuaType) throws(LuaFailure) {
    guard lua_type(state, Int32(index)) == type.rawValue else {
      throw typeFailure(argument: index, expected: type.name)
    }
  }

  // MARK: Failing

  /// An error with this message, with the position of the Lua code that called.
  public func failure(_ message: String) -> LuaFailure {
    push(message)
    return LuaFailure(action: MILONGA_WHERE_ERROR)
  }

  /// An error with the text on top of the stack, with the position of the Lua code that called.
  public func failureWithPosition() -> LuaFailure { LuaFailure(action: MILONGA_WHERE_ERROR) }

  /// `bad argument #index to 'function' (message)`.
  public func argumentFailure(_ index: Int, _ message: String) -> LuaFailure {
    push(message)
    return LuaFailure(action: MILONGA_ARGUMENT, argument: Int32(index))
  }

  /// `bad argument #index to 'function' (expected expected, got ...)`.
  public func typeFailure(argument index: Int, expected: String) -> LuaFailure {
    push(expected)
    return LuaFailure(action: MILONGA_TYPE, argument: Int32(index))
  }
}

/// The types of Lua values, as `lua_type` numbers them.
@frozen
public enum LuaType: Int32, Sendable {
  case none = -1
  case `nil`, boolean, lightUserdata, number, string, table, function, userdata, thread

  /// What `type` says.
  public var name: String {
    switch self {
    case .none: "no value"
    case .lightUserdata: "userdata"
    case .nil: "nil"
    case .boolean: "boolean"
    case .number: "number"
    case .string: "string"
    case .table: "table"
    case .function: "function"
    case .userdata: "userdata"
    case .thread: "thread"
    }
  }
}
