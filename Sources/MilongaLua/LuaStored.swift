import CMilongaLua
import CMilongaShims

/// A Lua value that Swift owns. The value lives in the state's store, where no Lua code can reach
/// it, until its owner goes.
///
/// ```swift
/// final class Handler {
///   private let function: LuaStored
///
///   init(_ call: LuaCall) {
///     call.pushValue(at: 2)
///     function = LuaStored(popping: call)
///   }
///
///   func run(_ call: LuaCall) { function.push(onto: call) ... }
/// }  // The value is given up when the `Handler` goes.
/// ```
///
/// It has one owner, so it cannot be copied. To give up a value early, put an empty one in its
/// place (`function = LuaStored()`). What several objects share belongs into a class that owns it.
///
/// It costs no allocation in Swift: an entry in the store, and a reference to what stands for the
/// store. To push the value is as fast as with a bare number.
///
/// The owner may live longer than the state: a state that has closed has no store, and nothing is
/// given up then. A Lua state belongs to one thread at a time, and the owner belongs to the same
/// one. The type is not `Sendable`, so the compiler refuses to hand it to another thread.
@frozen
public struct LuaStored: ~Copyable {
  @usableFromInline let store: LuaStore?
  /// The value's number in the store; 0 when there is none.
  @usableFromInline let number: Int32

  /// Owns nothing.
  @inlinable
  public init() {
    store = nil
    number = 0
  }

  /// Pops the topmost value and owns it.
  @inlinable
  public init(popping call: LuaCall) {
    store = LuaStore.of(call)
    number = call.retainTop()
  }

  /// Owns the value at `index`, which stays where it is.
  @inlinable
  public init(_ call: LuaCall, at index: Int) {
    call.pushValue(at: index)
    self.init(popping: call)
  }

  @inlinable
  deinit { store?.giveUp(number) }

  /// Whether it owns nothing. It owns something also when that is nil.
  @inlinable
  public var isEmpty: Bool { number == 0 }

  /// Pushes the value, which stays in the store; nil when it owns nothing. The stack is one of the
  /// same state.
  @inlinable
  public func push(onto call: LuaCall) {
    assert(store?.isOf(call) ?? true, "a value of another Lua state")
    milonga_pushretained(call.state, number)
  }
}

/// Stands for the store of one Lua state. It may live longer than the state.
@usableFromInline
final class LuaStore {
  /// The state's main thread; nil once the state has closed.
  private var main: OpaquePointer?

  private init(_ main: OpaquePointer) { self.main = main }

  /// The state's; made when it is first asked for.
  @usableFromInline
  static func of(_ call: LuaCall) -> LuaStore {
    let memory = milonga_memory_of(call.state)!
    if let handle = memory.pointee.handle {
      return Unmanaged<LuaStore>.fromOpaque(handle).takeUnretainedValue()
    }
    let store = LuaStore(memory.pointee.main)
    memory.pointee.handle = Unmanaged.passRetained(store).toOpaque()
    memory.pointee.closed = { handle in
      let store = Unmanaged<LuaStore>.fromOpaque(handle!).takeRetainedValue()
      store.main = nil
    }
    return store
  }

  @usableFromInline
  func isOf(_ call: LuaCall) -> Bool { main == milonga_mainthread(call.state) }

  @usableFromInline
  func giveUp(_ number: Int32) {
    if let main { milonga_unretain(main, number) }
  }
}
