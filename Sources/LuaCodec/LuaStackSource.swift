import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaRPC

/// Why a Lua value cannot be sent.
public enum SerializationFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// A function, a userdata or a thread.
  case type(String)
  case cycle
  case depth(limit: Int)
  case size(limit: Int)
  /// Something that the format has no place for; see ``MessageEncoder/refusal``.
  case refused(StaticString)
  /// There is no memory for the bytes.
  case memory

  public static func == (a: Self, b: Self) -> Bool { a.description == b.description }

  /// What is wrong, as the end of a sentence that names the value, with a remedy.
  public var description: String {
    switch self {
    case .type("userdata"):
      "a userdata cannot be serialized; use tango.ref to work with it from the other side"
    case .type(let name): "a \(name) cannot be serialized; remove it from the value"
    case .cycle: "a table that contains itself cannot be serialized; break the cycle"
    case .depth(let limit): "tables nested more than \(limit) deep cannot be serialized"
    case .size(let limit): "the message would be larger than the limit of \(limit) bytes"
    case .refused(let what): "\(what) cannot be serialized"
    case .memory: "not enough memory"
    }
  }
}

/// Sends values of the Lua stack to a sink. Tables are read raw: no metamethod runs.
public struct LuaStackSource {
  @usableFromInline let state: OpaquePointer
  @usableFromInline let depthLimit: Int

  @inlinable
  public init(_ call: LuaCall, depthLimit: Int) {
    state = call.state
    self.depthLimit = depthLimit
  }

  /// Writes the value at `index`.
  ///
  /// - Parameter isFull: asked now and then whether the sink has more than it may take; the limit
  ///   is given back in the error.
  @inlinable
  public func write<Sink: ValueSink & ~Copyable>(
    _ index: Int, to sink: inout Sink, isFull: (borrowing Sink) -> Int? = { _ in nil }
  ) throws(SerializationFailure) {
    let index = Int32(truncatingIfNeeded: index)
    if try writePlain(index, to: &sink) { return }
    var ancestors: [UnsafeRawPointer] = []
    try writeTable(index, inside: &ancestors, to: &sink, isFull: isFull)
  }

  /// Writes the value at `index` if it is not a table.
  @inlinable
  func writePlain<Sink: ValueSink & ~Copyable>(
    _ index: Int32, to sink: inout Sink
  ) throws(SerializationFailure) -> Bool {
    switch lua_type(state, index) {
    case LUA_TNIL: sink.null()
    case LUA_TBOOLEAN: sink.boolean(lua_toboolean(state, index) != 0)
    case LUA_TNUMBER:
      if lua_isinteger(state, index) != 0 {
        sink.integer(Int64(lua_tointegerx(state, index, nil)))
      } else {
        sink.number(lua_tonumberx(state, index, nil))
      }
    case LUA_TSTRING:
      var count = 0
      let start = lua_tolstring(state, index, &count)
      sink.string(UnsafeRawBufferPointer(start: start, count: count))
    case LUA_TTABLE: return false
    // What lua-cjson puts in the place of null.
    case LUA_TLIGHTUSERDATA where Sink.tableShape != .none && lua_touserdata(state, index) == nil:
      sink.null()
    case let type: throw .type(String(cString: lua_typename(state, type)))
    }
    return true
  }

  /// Writes a value that is part of a table.
  @inlinable
  func writePart<Sink: ValueSink & ~Copyable>(
    _ index: Int32, inside ancestors: inout [UnsafeRawPointer], to sink: inout Sink,
    isFull: (borrowing Sink) -> Int?
  ) throws(SerializationFailure) {
    if try writePlain(index, to: &sink) { return }
    try writeTable(index, inside: &ancestors, to: &sink, isFull: isFull)
  }

  /// - Parameter ancestors: the tables that are being written, outermost first.
  @inlinable
  func writeTable<Sink: ValueSink & ~Copyable>(
    _ index: Int32, inside ancestors: inout [UnsafeRawPointer], to sink: inout Sink,
    isFull: (borrowing Sink) -> Int?
  ) throws(SerializationFailure) {
    let table = lua_absindex(state, index)
    let identity = lua_topointer(state, table)!
    if ancestors.contains(identity) { throw .cycle }
    guard ancestors.count < depthLimit, lua_checkstack(state, 6) != 0 else {
      throw .depth(limit: depthLimit)
    }
    if let limit = isFull(sink) { throw .size(limit: limit) }
    ancestors.append(identity)
    defer { ancestors.removeLast() }
    if Sink.tableShape != .none {
      try writeShapedTable(table, inside: &ancestors, to: &sink, isFull: isFull)
      return
    }

    sink.beginTable(elements: 0, entries: 0)
    var position: lua_Integer = 1
    while lua_rawgeti(state, table, position) != LUA_TNIL {
      sink.beginElement(Int(position))
      try writePart(-1, inside: &ancestors, to: &sink, isFull: isFull)
      sink.endElement(Int(position))
      milonga_pop(state, 1)
      if position & 1023 == 0, let limit = isFull(sink) { throw .size(limit: limit) }
      position += 1
    }
    milonga_pop(state, 1)

    lua_pushnil(state)
    while lua_next(state, table) != 0 {
      if lua_isinteger(state, -2) == 0 || !(1..<position ~= lua_tointegerx(state, -2, nil)) {
        if let limit = isFull(sink) { throw .size(limit: limit) }
        sink.beginKey()
        try writePart(-2, inside: &ancestors, to: &sink, isFull: isFull)
        sink.beginValue()
        try writePart(-1, inside: &ancestors, to: &sink, isFull: isFull)
        sink.endEntry()
      }
      milonga_pop(state, 1)
    }
    sink.endTable()
  }

  // MARK: Formats that write a table's shape in front of it

  /// What a table has: keys in all, the largest integer, and whether all keys are positive
  /// integers.
  @usableFromInline
  struct Census {
    @usableFromInline var keys = 0
    @usableFromInline var largest: lua_Integer = 0
    @usableFromInline var isList = true

    /// The keys are 1 to n.
    @usableFromInline var isSequence: Bool { isList && largest == keys }

    /// A list with holes, though most places are taken: the rule is lua-cjson's.
    @usableFromInline var isDenseList: Bool { isList && (largest <= 10 || largest <= 2 * keys) }
  }

  @usableFromInline
  func census(_ table: Int32) -> Census {
    var census = Census()
    lua_pushnil(state)
    while lua_next(state, table) != 0 {
      census.keys &+= 1
      if census.isList {
        if lua_isinteger(state, -2) != 0, case let key = lua_tointegerx(state, -2, nil), key > 0 {
          if key > census.largest { census.largest = key }
        } else {
          census.isList = false
        }
      }
      milonga_pop(state, 1)
    }
    return census
  }

  @inlinable
  func writeShapedTable<Sink: ValueSink & ~Copyable>(
    _ table: Int32, inside ancestors: inout [UnsafeRawPointer], to sink: inout Sink,
    isFull: (borrowing Sink) -> Int?
  ) throws(SerializationFailure) {
    let census = census(table)
    if census.isSequence || (Sink.tableShape == .listed && census.isDenseList) {
      try writeList(Int(census.largest), of: table, inside: &ancestors, to: &sink, isFull: isFull)
      return
    }
    if Sink.tableShape == .listed, census.isList { throw .refused("a list with so many holes") }
    sink.beginTable(elements: 0, entries: census.keys)
    lua_pushnil(state)
    while lua_next(state, table) != 0 {
      if let limit = isFull(sink) { throw .size(limit: limit) }
      sink.beginKey()
      if lua_type(state, -2) == LUA_TLIGHTUSERDATA { throw .type("userdata") }
      try writePart(-2, inside: &ancestors, to: &sink, isFull: isFull)
      sink.beginValue()
      try writePart(-1, inside: &ancestors, to: &sink, isFull: isFull)
      sink.endEntry()
      milonga_pop(state, 1)
    }
    sink.endTable()
  }

  @inlinable
  func writeList<Sink: ValueSink & ~Copyable>(
    _ count: Int, of table: Int32, inside ancestors: inout [UnsafeRawPointer], to sink: inout Sink,
    isFull: (borrowing Sink) -> Int?
  ) throws(SerializationFailure) {
    sink.beginTable(elements: count, entries: 0)
    var position = 1
    while position <= count {
      lua_rawgeti(state, table, lua_Integer(position))
      sink.beginElement(position)
      try writePart(-1, inside: &ancestors, to: &sink, isFull: isFull)
      sink.endElement(position)
      milonga_pop(state, 1)
      if position & 1023 == 0, let limit = isFull(sink) { throw .size(limit: limit) }
      position &+= 1
    }
    sink.endTable()
  }
}
