import CLua
import CShims

/// A userdata type: Swift values of type `Payload` that live inside Lua's own memory.
///
/// The payload is deinitialised when Lua collects the userdata or its state closes. A class belongs to
/// one Lua state.
///
/// A block of memory begins with the address of its class's metatable, and the payload follows. So an
/// argument is checked by its size and one comparison; to ask Lua for the metatable takes five times as
/// long.
public final class LuaClass<Payload> {
  /// The `__name` of the metatable, used in error messages.
  public let name: String
  @usableFromInline let metatable: UnsafeRawPointer
  private let reference: Int32

  /// Makes the class and its metatable, without methods and without a finaliser: to be followed by
  /// ``complete(_:methods:metamethods:finalize:)``, whose closures may then refer to the class.
  public init(_ call: LuaCall, incomplete name: String) {
    precondition(
      MemoryLayout<Payload>.alignment <= 16, "Lua aligns userdata to 16 bytes; \(name) wants more")
    self.name = name
    call.pushTable()
    metatable = call.identity(at: -1)!
    call.push(name)
    call.setField("__name", of: -2)
    reference = call.retainTop()
  }

  /// Makes the class and its metatable.
  public convenience init(
    _ call: LuaCall, name: String,
    methods: (LuaCall) -> Void = { _ in },
    metamethods: (LuaCall) -> Void = { _ in },
    close: ((inout Payload) -> Void)? = nil,
    finalize: @escaping (inout Payload) -> Void = { _ in }
  ) {
    self.init(call, incomplete: name)
    complete(call, methods: methods, metamethods: metamethods, close: close, finalize: finalize)
  }

  /// Fills the metatable. `methods` runs with the `__index` table on top of the stack, `metamethods`
  /// with the metatable on top.
  ///
  /// - Parameters:
  ///   - close: runs when a to-be-closed variable (`local x <close>`) that holds an object goes out of
  ///     scope. Without it the objects cannot be held by such variables.
  ///   - finalize: runs before a payload is deinitialised.
  public func complete(
    _ call: LuaCall,
    methods: (LuaCall) -> Void = { _ in },
    metamethods: (LuaCall) -> Void = { _ in },
    close: ((inout Payload) -> Void)? = nil,
    finalize: @escaping (inout Payload) -> Void = { _ in }
  ) {
    pushMetatable(onto: call)
    call.pushTable()
    methods(call)
    call.setField("__index", of: -2)
    call.setFunction("__gc") { [metatable] call in
      guard let payload = Self.payload(call, at: 1, metatable: metatable) else {
        return .results(0)
      }
      // From now on the userdata is of no class: nothing can reach the dead payload.
      Self.mark(payload, nil)
      call.pushNil()
      lua_setmetatable(call.state, 1)
      finalize(&payload.pointee)
      payload.deinitialize(count: 1)
      return .results(0)
    }
    if let close {
      call.setFunction("__close") { [metatable] call in
        if let payload = Self.payload(call, at: 1, metatable: metatable) {
          close(&payload.pointee)
        }
        return .results(0)
      }
    }
    metamethods(call)
    call.pop()
  }

  /// Pushes a new userdata that holds `payload`.
  ///
  /// - Parameter userValues: how many Lua values belong to it; see ``LuaCall/setUserValue(_:of:)``.
  @inlinable
  @discardableResult
  public func push(
    _ payload: consuming Payload, onto call: LuaCall, userValues: Int = 0
  ) -> UnsafeMutablePointer<Payload> {
    let block = milonga_newuserdata(call.state, Self.blockSize, Int32(userValues))!
    let pointer = (block + Self.headerSize).bindMemory(to: Payload.self, capacity: 1)
    pointer.initialize(to: payload)
    Self.mark(pointer, metatable)
    pushMetatable(onto: call)
    lua_setmetatable(call.state, -2)
    return pointer
  }

  /// Makes the userdata at `index`, whose payload is of the same type, one of this class.
  public func adopt(_ call: LuaCall, at index: Int) {
    let index = lua_absindex(call.state, Int32(index))
    Self.mark(checkedBefore(call, at: Int(index)), metatable)
    pushMetatable(onto: call)
    lua_setmetatable(call.state, index)
  }

  @usableFromInline
  func pushMetatable(onto call: LuaCall) { call.pushRetained(reference) }

  /// The payload of the userdata at `index`, nil when it is not of this class.
  @inlinable
  public func payload(_ call: LuaCall, at index: Int) -> UnsafeMutablePointer<Payload>? {
    Self.payload(call, at: index, metatable: metatable)
  }

  /// The payload of the userdata at `index`; an argument error when it is not of this class.
  @inlinable
  public func check(
    _ call: LuaCall, at index: Int
  ) throws(LuaFailure) -> UnsafeMutablePointer<Payload> {
    guard let payload = payload(call, at: index) else {
      throw call.typeFailure(argument: index, expected: name)
    }
    return payload
  }

  @inlinable
  static func payload(
    _ call: LuaCall, at index: Int, metatable: UnsafeRawPointer
  ) -> UnsafeMutablePointer<Payload>? {
    guard let (mark, payload) = marked(call, at: index), mark == metatable else { return nil }
    return payload
  }

  /// What may be the payload of the userdata at `index`, if it is of the class that `mark` says; nil
  /// when it is none of this size.
  @inlinable
  @inline(__always)
  static func marked(
    _ call: LuaCall, at index: Int
  ) -> (mark: UnsafeRawPointer?, payload: UnsafeMutablePointer<Payload>)? {
    // Light userdata have no length, and what else has one is no userdata.
    guard lua_rawlen(call.state, Int32(index)) == blockSize,
      let block = lua_touserdata(call.state, Int32(index))
    else { return nil }
    return (
      block.load(as: UnsafeRawPointer?.self),
      (block + headerSize).assumingMemoryBound(to: Payload.self)
    )
  }

  /// Keeps the payload aligned to 16 bytes, as Lua aligns the block.
  @usableFromInline static var headerSize: Int { 16 }
  @usableFromInline static var blockSize: Int { headerSize + MemoryLayout<Payload>.size }

  /// Says of which class the userdata with this payload is.
  @usableFromInline
  static func mark(_ payload: UnsafeMutablePointer<Payload>, _ metatable: UnsafeRawPointer?) {
    (UnsafeMutableRawPointer(payload) - headerSize).storeBytes(
      of: metatable, as: UnsafeRawPointer?.self)
  }

  /// The payload of the userdata at `index`, which an earlier run of the same Lua function found to be
  /// of this class. A payload that was finalised meanwhile is there, but deinitialised: only for
  /// types without one.
  @inlinable
  public func checkedBefore(
    _ call: LuaCall, at index: Int
  ) -> UnsafeMutablePointer<Payload> {
    (lua_touserdata(call.state, Int32(index))! + Self.headerSize)
      .assumingMemoryBound(to: Payload.self)
  }
}
