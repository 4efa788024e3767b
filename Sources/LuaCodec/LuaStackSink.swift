import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaRPC

/// Receives a message or a value straight onto the Lua stack, with no tree in between.
///
/// The elements of a message become consecutive values of the stack. A codec limits how deep tables
/// are nested and how many elements a message has, which bounds the stack.
public struct LuaStackSink: MessageSink {
  @usableFromInline let state: OpaquePointer
  @usableFromInline let base: Int32
  /// Elements for which the stack has room from the start.
  @usableFromInline static var roomAtStart: Int { 8 }
  /// Elements of the message so far, those that are nil included.
  @usableFromInline var count = 0
  /// Bytes that may still be pushed before the state is asked whether it has memory for them.
  @usableFromInline var budget = Self.bytesBetweenChecks
  /// Bytes of the tables' parts so far: the next one to grow becomes at most twice as large.
  @usableFromInline var parts = 0
  /// Memory is lacking, and nothing is kept any more: the state is exhausted.
  @usableFromInline var isFull = false

  /// The reserve is larger than what is pushed between two checks.
  @usableFromInline static var bytesBetweenChecks: Int { 256 << 10 }

  /// Values go on top of the call's stack.
  @inlinable
  public init(_ call: LuaCall) {
    state = call.state
    base = lua_gettop(call.state)
    lua_checkstack(call.state, Int32(Self.roomAtStart + 16))
  }

  @inlinable public mutating func null() { lua_pushnil(state) }
  @inlinable public mutating func boolean(_ value: Bool) { lua_pushboolean(state, value ? 1 : 0) }
  @inlinable public mutating func integer(_ value: Int64) { lua_pushinteger(state, value) }
  @inlinable public mutating func number(_ value: Double) { lua_pushnumber(state, value) }

  @inlinable
  public mutating func string(_ bytes: UnsafeRawBufferPointer) {
    spend(48 + bytes.count)
    let count = isFull ? 0 : bytes.count
    milonga_pushlstring(state, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count)
  }

  @inlinable
  @inline(__always)
  mutating func spend(_ bytes: Int) {
    budget &-= bytes
    if budget < 0 { check() }
  }

  @usableFromInline
  @inline(never)
  mutating func check() {
    if milonga_has_room(state, max(2 * parts, Self.bytesBetweenChecks / 8)) == 0 { isFull = true }
    budget = Self.bytesBetweenChecks
  }

  @inlinable
  public mutating func beginTable(elements: Int, entries: Int) {
    lua_checkstack(state, 8)
    spend(64)
    milonga_createtable(
      state, isFull ? 0 : Int32(truncatingIfNeeded: elements),
      isFull ? 0 : Int32(truncatingIfNeeded: entries))
  }

  @inlinable
  public mutating func endElement(_ index: Int) { store(in: -2, at: lua_Integer(index)) }

  /// Pops a value into a table, in which it is one more part.
  @inlinable
  mutating func store(in table: Int32, at index: lua_Integer) {
    parts &+= 16
    spend(32)
    if isFull { milonga_pop(state, 1) } else { lua_rawseti(state, table, index) }
  }

  /// Readers refuse nil and NaN as keys, which Lua would answer with an error.
  @inlinable
  public mutating func endEntry() {
    parts &+= 40
    spend(80)
    if isFull { milonga_pop(state, 2) } else { lua_rawset(state, -3) }
  }

  @inlinable public mutating func endTable() {}

  @inlinable
  public mutating func endMessageElement(at index: Int) {
    if index == count + 1, index <= Self.roomAtStart {
      count = index
    } else {
      placeElement(at: index)
    }
  }

  /// An element that needs more room, or does not follow the one before it.
  @usableFromInline
  mutating func placeElement(at index: Int) {
    if index > Self.roomAtStart { lua_checkstack(state, 16) }
    if index <= count {
      milonga_replace(state, base + Int32(truncatingIfNeeded: index))
      return
    }
    while count + 1 < index {
      lua_checkstack(state, 8)
      lua_pushnil(state)
      milonga_insert(state, -2)
      count += 1
    }
    count = index
  }

  public mutating func discardMessageEntry() { milonga_pop(state, 1) }
}
