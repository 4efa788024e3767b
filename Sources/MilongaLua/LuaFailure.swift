import CMilongaShims

/// Why a Swift function ends with a Lua error. The message is on the Lua stack; the trampoline
/// raises it when the Swift frames are gone.
///
/// Made by the `LuaCall` methods that check arguments and by ``LuaCall/failure(_:)``.
@frozen
public struct LuaFailure: Error {
  @usableFromInline let action: Int32
  @usableFromInline let argument: Int32

  @usableFromInline
  init(action: milonga_action, argument: Int32 = 0) {
    self.action = Int32(action.rawValue)
    self.argument = argument
  }

  /// The value on top of the stack is raised as it is, without a position.
  public static var raised: LuaFailure { LuaFailure(action: MILONGA_ERROR) }

  @usableFromInline
  var outcome: milonga_outcome {
    milonga_outcome(action: action, count: argument, results: 0, state: 0)
  }
}

/// How a Swift function called by Lua ends, when it does not fail.
@frozen
public struct LuaOutcome {
  @usableFromInline let raw: milonga_outcome

  @usableFromInline
  init(_ action: milonga_action, count: Int, results: Int = 0, state: Int = 0) {
    raw = milonga_outcome(
      action: Int32(action.rawValue), count: Int32(truncatingIfNeeded: count),
      results: Int32(truncatingIfNeeded: results), state: Int32(truncatingIfNeeded: state))
  }

  /// Return the `count` topmost values.
  @inlinable
  public static func results(_ count: Int) -> LuaOutcome {
    LuaOutcome(MILONGA_RETURN, count: count)
  }

  /// Yield the `count` topmost values. When the coroutine is resumed, the same function runs again
  /// with ``LuaCall/phase`` `.resumed` and this `state`.
  @inlinable
  public static func yield(_ count: Int = 0, state: Int = 0) -> LuaOutcome {
    LuaOutcome(MILONGA_YIELD, count: count, state: state)
  }

  /// Call the function that lies below its `arguments` on top of the stack. The same function runs
  /// again with ``LuaCall/phase`` `.returned` and this `state`; an error passes through.
  ///
  /// - Parameter results: how many results are wanted, nil for all.
  @inlinable
  public static func call(arguments: Int, results: Int? = nil, state: Int = 0) -> LuaOutcome {
    LuaOutcome(MILONGA_CALL, count: arguments, results: results ?? -1, state: state)
  }

  /// Like ``call(arguments:results:state:)``, but when the function fails the same function runs
  /// again with ``LuaCall/phase`` `.failed` and the error value on top of the stack.
  ///
  /// - Parameter traced: a message handler lies below the function; see
  ///   ``LuaCall/pushTracebackHandler()``.
  @inlinable
  public static func protectedCall(
    arguments: Int, results: Int? = nil, traced: Bool = false, state: Int = 0
  ) -> LuaOutcome {
    LuaOutcome(
      traced ? MILONGA_TRACED_PCALL : MILONGA_PCALL, count: arguments, results: results ?? -1,
      state: state)
  }
}
