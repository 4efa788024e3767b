import CMilongaLua
import CMilongaMemory
import CMilongaShims

extension LuaCall {
  /// Bytes that the state may hold in all; `Int.max` when there is no limit.
  ///
  /// A function that builds a large result outside Lua's memory stops here: Lua could not hold it.
  public var memoryLimit: Int {
    guard let memory = milonga_memory_of(state), memory.pointee.limit > 0 else { return .max }
    return Int(clamping: memory.pointee.limit)
  }

  /// An error with Lua's own message when there is no memory.
  public func memoryFailure() -> LuaFailure {
    push("not enough memory")
    return .raised
  }

  /// Whether the state may hold `bytes` more, and the system has them; if not, the state is
  /// exhausted. A function asks before it makes Lua copy or grow something large, and returns or
  /// fails when the answer is no.
  public func hasRoom(for bytes: Int) -> Bool { milonga_has_room(state, bytes) != 0 }

  /// Whether the system has `bytes` for a copy that Swift makes; if not, the state is exhausted.
  /// Swift's own types end the process when they cannot have their memory.
  public func hasSystemRoom(for bytes: Int) -> Bool {
    if bytes <= MILONGA_SMALL_BYTES || milonga_is_available(bytes) != 0 { return true }
    exhaust()
    return false
  }

  /// Memory was lacking for something that the function makes: it fails when it returns, with
  /// `not enough memory`.
  public func exhaust() { milonga_memory_of(state)?.pointee.exhausted = 1 }

  /// Whether memory was lacking for something that was pushed, so that an empty value stands in its
  /// place.
  ///
  /// The function that runs may go on: when it returns, and when it calls a Lua function, that
  /// fails with `not enough memory`. A function that pushes as much as a peer or a script wants
  /// asks now and then, and stops.
  public var isExhausted: Bool { milonga_is_exhausted(state) != 0 }

  /// Whether the state was exhausted. It is not any more: the caller tells of it in its own way.
  public func takeExhaustion() -> Bool { milonga_take_exhaustion(state) != 0 }
}
