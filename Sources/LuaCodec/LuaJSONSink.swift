import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaRPC

/// Receives what a format with a null of its own says: inside tables it becomes a light userdata that is the NULL
/// pointer, which a table can hold; it is equal to `cjson.null`. A message's own elements are nil.
public struct LuaJSONSink: MessageSink {
  @usableFromInline var stack: LuaStackSink
  /// Tables that are open; null is nil outside of all.
  @usableFromInline var depth: Int

  /// Values go on top of the call's stack.
  ///
  /// - Parameter isMessage: false for a single value, which is never nil.
  public init(_ call: LuaCall, isMessage: Bool) {
    stack = LuaStackSink(call)
    depth = isMessage ? 0 : 1
  }

  @inlinable
  public mutating func null() {
    if depth == 0 { stack.null() } else { lua_pushlightuserdata(stack.state, nil) }
  }

  @inlinable public mutating func boolean(_ value: Bool) { stack.boolean(value) }
  @inlinable public mutating func integer(_ value: Int64) { stack.integer(value) }
  @inlinable public mutating func number(_ value: Double) { stack.number(value) }
  @inlinable public mutating func string(_ bytes: UnsafeRawBufferPointer) { stack.string(bytes) }

  @inlinable
  public mutating func beginTable(elements: Int, entries: Int) {
    depth &+= 1
    stack.beginTable(elements: elements, entries: entries)
  }

  @inlinable public mutating func endElement(_ index: Int) { stack.endElement(index) }
  @inlinable public mutating func endEntry() { stack.endEntry() }
  @inlinable public mutating func endTable() { depth &-= 1 }

  @inlinable
  public mutating func endMessageElement(at index: Int) { stack.endMessageElement(at: index) }

  public mutating func discardMessageEntry() { stack.discardMessageEntry() }
}
