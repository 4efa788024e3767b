import CShims

extension LuaCall {
  /// Bytes that the state may hold in all; `Int.max` when nobody limits them.
  ///
  /// A function that builds a large result outside Lua's memory stops here: Lua could not hold it.
  public var memoryLimit: Int {
    guard let vm = milonga_vm_of(state), vm.pointee.limit > 0 else { return .max }
    return Int(clamping: vm.pointee.limit)
  }

  /// An error with Lua's own message for want of memory.
  public func memoryFailure() -> LuaFailure {
    push("not enough memory")
    return .raised
  }
}
