import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaRPC

/// Receives values of a format that has a null, such as JSON. Inside tables null becomes the light
/// userdata NULL, which equals `cjson.null`, because a table cannot hold nil. An element of a
/// message becomes nil.
public struct LuaJSONSink: MessageSink {
  @usableFromInline var stack: LuaStackSink
  /// How many tables are open. Outside of all null is nil.
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
