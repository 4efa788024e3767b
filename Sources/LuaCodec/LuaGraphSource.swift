import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaRPC

/// Why a Lua value cannot be sent as luatobin.
public struct GraphFailure: Error, Sendable {
  /// Where in the value, as Lua would write it: `[1].name`; empty for the value itself.
  public let place: String
  /// What is wrong, as the end of a sentence that names the value, with a remedy.
  public let reason: String

  public init(place: String, reason: String) {
    self.place = place
    self.reason = reason
  }

  /// Whether memory was lacking, and the value may be fine.
  public var isMemory: Bool { reason == LuatobinRefusal.memory.description }
}

/// Sends values of the Lua stack to a luatobin writer, shared tables, cycles and functions
/// included. Tables are read raw: no metamethod runs.
public struct LuaGraphSource {
  @usableFromInline let state: OpaquePointer
  private let depthLimit: Int
  private let sizeLimit: Int
  /// Functions without source text are sent as bytecode.
  private let sendsBytecode: Bool

  /// - Parameter sizeLimit: how many bytes the writer's buffer may hold.
  public init(_ call: LuaCall, depthLimit: Int, sizeLimit: Int, sendsBytecode: Bool = false) {
    state = call.state
    self.depthLimit = depthLimit
    self.sizeLimit = sizeLimit
    self.sendsBytecode = sendsBytecode
  }

  /// Writes the value at `index` as a value of its own. What was written of it before a failure is
  /// the caller's to remove.
  @inlinable
  public func write(
    _ index: Int, to writer: inout LuatobinWriter
  ) throws(GraphFailure) {
    writer.beginTopLevelValue()
    let index = Int32(truncatingIfNeeded: index)
    if !writeScalar(index, to: &writer) { try writeObject(index, to: &writer) }
    if writer.refusal != nil { throw refusal(of: writer) }
  }

  /// Writes the value at `index` if it is no object with an identity.
  @inlinable
  @inline(__always)
  func writeScalar(_ index: Int32, to writer: inout LuatobinWriter) -> Bool {
    switch lua_type(state, index) {
    case LUA_TSTRING:
      var count = 0
      let start = lua_tolstring(state, index, &count)
      let bytes = UnsafeRawBufferPointer(start: start, count: count)
      // Lua has each short string once.
      if count <= longestInterned { writer.internedString(bytes) } else { writer.string(bytes) }
    case LUA_TNUMBER:
      if lua_isinteger(state, index) != 0 {
        writer.integer(Int64(lua_tointegerx(state, index, nil)))
      } else {
        writer.number(lua_tonumberx(state, index, nil))
      }
    case LUA_TBOOLEAN: writer.boolean(lua_toboolean(state, index) != 0)
    case LUA_TNIL: writer.null()
    default: return false
    }
    return true
  }

  /// Writes the table or function at `index`. The tables that are being written lie on the stack,
  /// each with the key at which it goes on above it.
  @usableFromInline
  func writeObject(_ index: Int32, to writer: inout LuatobinWriter) throws(GraphFailure) {
    let bottom = lua_gettop(state) + 1
    guard lua_checkstack(state, 8) != 0 else { throw fail("the stack is full", bottom) }
    lua_pushvalue(state, index)
    guard try begin(bottom, &writer) else {
      lua_settop(state, bottom - 1)
      return
    }
    while true {
      if lua_next(state, -2) == 0 {
        writer.endTable()
        if writer.refusal != nil { throw refused(&writer, bottom) }
        // Either the root is on top, or a table that is the value of the key below it.
        if lua_gettop(state) == bottom { break }
        milonga_pop(state, 1)
        continue
      }
      writer.beginKey()
      if !writeScalar(-2, to: &writer) { try writeKey(bottom, &writer) }
      if writeScalar(-1, to: &writer) {
        if writer.refusal != nil { throw refused(&writer, bottom) }
        if writer.buffer.count > sizeLimit { throw fail(Self.tooLong, bottom) }
        milonga_pop(state, 1)
      } else if try !begin(bottom, &writer) {
        milonga_pop(state, 1)
      }
    }
    lua_settop(state, bottom - 1)
  }

  /// A key that is a table or a function: rare, so that this may recurse.
  private func writeKey(
    _ bottom: Int32, _ writer: inout LuatobinWriter
  ) throws(GraphFailure) {
    do throws(GraphFailure) {
      try writeObject(lua_absindex(state, -2), to: &writer)
    } catch {
      throw fail("in a key: \(error.reason)", bottom)
    }
  }

  /// Begins with the object on top.
  ///
  /// - Returns: whether it is a table that has pairs to write; then the first key, nil, is above
  ///   it.
  private func begin(
    _ bottom: Int32, _ writer: inout LuatobinWriter
  ) throws(GraphFailure) -> Bool {
    switch lua_type(state, -1) {
    case LUA_TTABLE:
      if writer.refer(to: lua_topointer(state, -1)!) {
        if writer.refusal != nil { throw refused(&writer, bottom) }
        return false
      }
      guard writer.depth < depthLimit, lua_checkstack(state, 8) != 0 else {
        throw fail("tables nested more than \(depthLimit) deep cannot be sent", bottom)
      }
      guard writer.buffer.count <= sizeLimit else { throw fail(Self.tooLong, bottom) }
      writer.beginReferredTable()
      lua_pushnil(state)
      return true
    case LUA_TFUNCTION:
      if writer.refer(to: lua_topointer(state, -1)!) { return false }
      let text = try functionBytes(bottom)
      text.withUnsafeBytes { writer.referredFunction($0) }
      if writer.refusal != nil { throw refused(&writer, bottom) }
      return false
    case let type:
      throw fail(
        "a \(String(cString: lua_typename(state, type))) cannot be sent; remove it from the value",
        bottom)
    }
  }

  /// What stands for the function on top.
  private func functionBytes(_ bottom: Int32) throws(GraphFailure) -> [UInt8] {
    let call = LuaCall(state)
    do throws(LuaFunctionText.Failure) {
      return try LuaFunctionText.find(call, at: call.count)
    } catch {
      switch error {
      case .cFunction:
        throw fail("a C function cannot be sent; send the name of what it does", bottom)
      case .upvalues(let names):
        let list = names.map { "'\($0)'" }.joined(separator: ", ")
        throw fail(
          "RPC function exec must not have up values: a function that uses \(list) from outside "
            + "cannot be sent; give it what it needs as arguments", bottom)
      case .noSource(let why):
        if sendsBytecode, let bytecode = LuaBytecode.dump(state, at: -1, strip: false) {
          return bytecode
        }
        throw fail(
          "a function without source text cannot be sent: \(why); send its text, or, to a peer of "
            + "the same Lua version that accepts it, bytecode (send_bytecode = true)", bottom)
      }
    }
  }

  static let tooLong = "the message would be longer than the limit (max_frame_bytes)"

  @usableFromInline
  func refusal(of writer: borrowing LuatobinWriter) -> GraphFailure {
    GraphFailure(place: "", reason: writer.refusal!.description)
  }

  private func refused(_ writer: inout LuatobinWriter, _ bottom: Int32) -> GraphFailure {
    fail(writer.refusal!.description, bottom)
  }

  /// Names the place, by the keys on the stack, and clears the stack.
  private func fail(_ reason: String, _ bottom: Int32) -> GraphFailure {
    var place = ""
    // The root, then pairs of a key and the value that belongs to it.
    var key = bottom + 1
    while key + 1 <= lua_gettop(state) {
      place += name(of: key)
      key += 2
    }
    lua_settop(state, bottom - 1)
    return GraphFailure(place: place, reason: reason)
  }

  private func name(of key: Int32) -> String {
    switch lua_type(state, key) {
    case LUA_TSTRING:
      let text = LuaCall(state).stringIfString(at: Int(key)) ?? ""
      let isName =
        text.utf8.allSatisfy { $0 == UInt8(ascii: "_") || ($0 | 32) &- 97 < 26 || $0 &- 48 < 10 }
        && text.utf8.first.map { $0 > 57 } ?? false
      return isName ? ".\(text.prefix(40))" : "[\"\(text.prefix(40))\"]"
    case LUA_TNUMBER:
      return lua_isinteger(state, key) != 0
        ? "[\(lua_tointegerx(state, key, nil))]" : "[\(lua_tonumberx(state, key, nil))]"
    case LUA_TBOOLEAN: return lua_toboolean(state, key) != 0 ? "[true]" : "[false]"
    case let type: return "[a \(String(cString: lua_typename(state, type)))]"
    }
  }
}

/// LUAI_MAXSHORTLEN: strings up to this length are unique within a Lua state.
@usableFromInline let longestInterned = 40
