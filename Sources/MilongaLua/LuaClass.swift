import CMilongaLua
import CMilongaShims
import Synchronization

/// A userdata type: Swift values of type `Payload` that live inside Lua's own memory.
///
/// The payload is deinitialised when Lua collects the userdata or its state closes. A class belongs
/// to one Lua state.
///
/// A block of memory begins with its class's mark, and the payload follows. So an argument is
/// checked by its size and one comparison; to ask Lua for the metatable takes five times as long,
/// and scripts can exchange that.
public final class LuaClass<Payload> {
  /// The `__name` of the metatable, used in error messages.
  public let name: String
  /// A number that no other class in the process has.
  @usableFromInline let mark = ClassMark.next()
  private let metatable: LuaStored
  /// The block that was asked for last: mostly the next one is the same, whose size is known.
  @usableFromInline var last: UnsafeMutableRawPointer?

  /// Makes the class and its metatable, without methods and without a finaliser: to be followed by
  /// ``complete(_:methods:metamethods:finalize:)``, whose closures may then refer to the class.
  public init(_ call: LuaCall, incomplete name: String) {
    precondition(
      MemoryLayout<Payload>.alignment <= 16, "Lua aligns userdata to 16 bytes; \(name) wants more")
    self.name = name
    call.pushTable()
    call.push(name)
    call.setField("__name", of: -2)
    metatable = LuaStored(popping: call)
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

  /// Fills the metatable. `methods` runs with the `__index` table on top of the stack,
  /// `metamethods` with the metatable on top.
  ///
  /// - Parameters:
  ///   - close: runs when a to-be-closed variable (`local x <close>`) that holds an object goes out
  ///     of scope. Without it the objects cannot be held by such variables.
  ///   - finalizesByHand: `finalize` also runs, any number of times, when a script calls the
  ///     metamethod `__gc`; the payload stays what it is. Otherwise such a call does nothing.
  ///   - finalize: runs before a payload is deinitialised.
  public func complete(
    _ call: LuaCall,
    methods: (LuaCall) -> Void = { _ in },
    metamethods: (LuaCall) -> Void = { _ in },
    close: ((inout Payload) -> Void)? = nil,
    finalizesByHand: Bool = false,
    finalize: @escaping (inout Payload) -> Void = { _ in }
  ) {
    pushMetatable(onto: call)
    call.pushTable()
    methods(call)
    call.setField("__index", of: -2)
    call.setFunction("__gc") { [self] call in
      guard let payload = Self.payload(call, at: 1, mark: mark) else { return .results(0) }
      guard milonga_iscollecting(call.state) != 0 else {
        if finalizesByHand { finalize(&payload.pointee) }
        return .results(0)
      }
      // From now on the userdata is of no class: nothing can reach the dead payload.
      Self.mark(payload, 0)
      last = nil
      call.pushNil()
      milonga_setmetatable(call.state, 1)
      finalize(&payload.pointee)
      payload.deinitialize(count: 1)
      return .results(0)
    }
    if let close {
      call.setFunction("__close") { [mark] call in
        if let payload = Self.payload(call, at: 1, mark: mark) {
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
    Self.mark(pointer, mark)
    pushMetatable(onto: call)
    milonga_setmetatable(call.state, -2)
    return pointer
  }

  /// Makes the userdata at `index`, whose payload is of the same type, one of this class.
  public func adopt(_ call: LuaCall, at index: Int) {
    let index = lua_absindex(call.state, Int32(index))
    guard let payload = Self.marked(call, at: Int(index))?.payload else { return }
    Self.mark(payload, mark)
    pushMetatable(onto: call)
    milonga_setmetatable(call.state, index)
  }

  @usableFromInline
  func pushMetatable(onto call: LuaCall) { metatable.push(onto: call) }

  /// The payload of the userdata at `index`, nil when it is not of this class.
  @inlinable
  @inline(__always)
  public func payload(_ call: LuaCall, at index: Int) -> UnsafeMutablePointer<Payload>? {
    guard let block = lua_touserdata(call.state, Int32(index)) else { return nil }
    if block != last {
      // Light userdata have no length.
      guard lua_rawlen(call.state, Int32(index)) == Self.blockSize else { return nil }
      last = block
    }
    guard block.load(as: UInt.self) == mark else { return nil }
    return (block + Self.headerSize).assumingMemoryBound(to: Payload.self)
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
    _ call: LuaCall, at index: Int, mark: UInt
  ) -> UnsafeMutablePointer<Payload>? {
    guard let (found, payload) = marked(call, at: index), found == mark else { return nil }
    return payload
  }

  /// What may be the payload of the userdata at `index`, if it is of the class that `mark` says;
  /// nil when it is none of this size.
  @inlinable
  @inline(__always)
  static func marked(
    _ call: LuaCall, at index: Int
  ) -> (mark: UInt, payload: UnsafeMutablePointer<Payload>)? {
    // Light userdata have length 0; `lua_touserdata` rejects strings and tables.
    guard lua_rawlen(call.state, Int32(index)) == blockSize,
      let block = lua_touserdata(call.state, Int32(index))
    else { return nil }
    return (
      block.load(as: UInt.self),
      (block + headerSize).assumingMemoryBound(to: Payload.self)
    )
  }

  /// Keeps the payload aligned to 16 bytes, as Lua aligns the block.
  @usableFromInline static var headerSize: Int { 16 }
  @usableFromInline static var blockSize: Int { headerSize + MemoryLayout<Payload>.size }

  /// Says of which class the userdata with this payload is.
  @usableFromInline
  static func mark(_ payload: UnsafeMutablePointer<Payload>, _ mark: UInt) {
    (UnsafeMutableRawPointer(payload) - headerSize).storeBytes(of: mark, as: UInt.self)
  }
}

/// Where classes get their marks from.
@usableFromInline
enum ClassMark {
  /// What is in a block of another kind is hardly a large odd number.
  private static let last = Atomic<UInt>(0x4d69_6c6f_6e67_6101)

  @usableFromInline
  static func next() -> UInt { last.wrappingAdd(2, ordering: .relaxed).newValue }
}
