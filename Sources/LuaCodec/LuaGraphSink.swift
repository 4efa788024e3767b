import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaRPC

/// Receives values straight onto the Lua stack, functions, shared tables and cycles included.
///
/// A codec limits how deep tables are nested, which bounds the stack.
public struct LuaGraphSink: GraphSink {
  /// Which functions are accepted, and what compiling them may cost.
  public struct FunctionPolicy: Sendable {
    /// Source text is compiled.
    public var acceptsText: Bool
    /// Bytecode is loaded, which can do anything to the process.
    public var acceptsBytecode: Bool
    /// Instructions that compiling a function may take, where a byte counts as one; negative for
    /// any number.
    public var instructions: Int64 = -1
    /// Nanoseconds that it may take; negative for any number.
    public var nanoseconds: Int64 = -1

    public init(acceptsText: Bool = true, acceptsBytecode: Bool = false) {
      self.acceptsText = acceptsText
      self.acceptsBytecode = acceptsBytecode
    }
  }

  @usableFromInline var stack: LuaStackSink
  @usableFromInline let state: OpaquePointer
  private let policy: FunctionPolicy
  /// The functions' globals; nil for Lua's own.
  private let environment: CodeEnvironment?
  /// The place of a table on the stack, below the value that is being read; 0 while there is none.
  /// Objects are in it under their numbers, strings under negative numbers.
  @usableFromInline var numbered: Int32 = 0
  /// Where the stack ended before the value.
  @usableFromInline var base: Int32 = 0
  /// Why a function was refused; nil when none was.
  public private(set) var refusal: String?
  /// Whether there was a function among the values.
  public private(set) var hasFunctions = false

  /// Values go on top of the call's stack.
  @inlinable
  public init(_ call: LuaCall, functions: FunctionPolicy, environment: CodeEnvironment? = nil) {
    self.init(LuaStackSink(call), call.state, functions, environment)
  }

  @usableFromInline
  init(
    _ stack: LuaStackSink, _ state: OpaquePointer, _ policy: FunctionPolicy,
    _ environment: CodeEnvironment?
  ) {
    self.stack = stack
    self.state = state
    self.policy = policy
    self.environment = environment
  }

  /// Begins with another value, for which there must be room on the stack; whether there is.
  @inlinable
  public mutating func beginTopLevelValue() -> Bool {
    endTopLevelValue()
    base = lua_gettop(state)
    return lua_checkstack(state, 16) != 0
  }

  /// Call it when the last value is complete, or was broken off.
  @inlinable
  public mutating func endTopLevelValue() {
    if numbered != 0 {
      milonga_remove(state, numbered)
      numbered = 0
    }
  }

  @inlinable public mutating func null() { stack.null() }
  @inlinable public mutating func boolean(_ value: Bool) { stack.boolean(value) }
  @inlinable public mutating func integer(_ value: Int64) { stack.integer(value) }
  @inlinable public mutating func number(_ value: Double) { stack.number(value) }
  @inlinable public mutating func string(_ bytes: UnsafeRawBufferPointer) { stack.string(bytes) }
  @inlinable
  public mutating func beginTable(elements: Int, entries: Int) {
    stack.beginTable(elements: elements, entries: entries)
  }
  @inlinable public mutating func endElement(_ index: Int) { stack.endElement(index) }
  @inlinable public mutating func endEntry() { stack.endEntry() }
  @inlinable public mutating func endTable() {}

  @inlinable
  public mutating func keep(as number: Int) {
    if numbered == 0 { makeNumbered() }
    lua_pushvalue(state, -1)
    stack.store(in: numbered, at: lua_Integer(number))
  }

  /// Pushes a string that came before. That takes less time than to let Lua find it by its bytes.
  @inlinable
  public mutating func string(_ bytes: UnsafeRawBufferPointer, again number: Int) {
    if numbered == 0 { makeNumbered() }
    if lua_rawgeti(state, numbered, lua_Integer(-number)) == LUA_TNIL {
      milonga_pop(state, 1)
      stack.string(bytes)
      lua_pushvalue(state, -1)
      stack.store(in: numbered, at: lua_Integer(-number))
    }
  }

  public mutating func reference(_ number: Int) {
    if numbered == 0 { makeNumbered() }
    // A function that was refused is nil, which cannot be a key; false can.
    if lua_rawgeti(state, numbered, lua_Integer(number)) == LUA_TNIL {
      milonga_pop(state, 1)
      lua_pushboolean(state, 0)
    }
  }

  /// Puts the table below all that was read of the value.
  @usableFromInline
  mutating func makeNumbered() {
    lua_createtable(state, 16, 0)
    numbered = base + 1
    milonga_insert(state, numbered)
  }

  public mutating func function(_ bytes: UnsafeRawBufferPointer) {
    hasFunctions = true
    lua_checkstack(state, 8)
    if let reason = load(bytes) {
      if refusal == nil { refusal = reason }
      lua_pushboolean(state, 0)
    } else {
      environment?.set(LuaCall(state))
    }
  }

  /// Pushes the function, or says why not.
  private func load(_ bytes: UnsafeRawBufferPointer) -> String? {
    let isBytecode = bytes.first == 0x1B
    if isBytecode {
      if let version = LuaBytecode.version(of: bytes), version != LuaBytecode.ourVersion {
        return "a function arrived as bytecode of Lua \(version >> 4).\(version & 15), which Lua "
          + "5.4 cannot load; send its source text instead"
      }
      guard policy.acceptsBytecode else {
        return "a function arrived as bytecode, which is not loaded without accept_bytecode = true;"
          + " send its source text instead"
      }
    } else if !policy.acceptsText {
      return "a function arrived, and functions are not accepted here (allow.newexec)"
    }
    // The text is its own name: so the function can be sent on.
    let name: [UInt8] = isBytecode ? Array("=function\0".utf8) : Array(bytes) + [0]
    let status = name.withUnsafeBytes {
      milonga_limited_load(
        state, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count,
        $0.baseAddress!.assumingMemoryBound(to: CChar.self), isBytecode ? "b" : "t",
        policy.instructions, policy.nanoseconds, 0)
    }
    guard status != LUA_OK else { return nil }
    defer { milonga_pop(state, 1) }
    return "a function that arrived cannot be loaded: "
      + (LuaCall(state).stringIfString(at: -1) ?? "unknown error")
  }
}
