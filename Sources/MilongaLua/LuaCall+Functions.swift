import CMilongaLua
import CMilongaShims

/// A Swift function that Lua can call.
public typealias LuaBody = (LuaCall) throws(LuaFailure) -> LuaOutcome

/// What the trampoline's closure owns: the Swift function.
final class FunctionBox {
  let body: LuaBody

  init(_ body: @escaping LuaBody) { self.body = body }

  static let invoke: milonga_invoke = { state, context, resumption in
    let call = LuaCall(state!, resumption)
    return Unmanaged<FunctionBox>.fromOpaque(context!)._withUnsafeGuaranteedRef { box in
      do throws(LuaFailure) {
        return try box.body(call).raw
      } catch {
        return error.outcome
      }
    }
  }

  static let release: milonga_release = { context in
    Unmanaged<FunctionBox>.fromOpaque(context!).release()
  }
}

extension LuaCall {
  /// Pushes a Lua function that runs `body`. What it captures lives until Lua collects it.
  ///
  /// - Parameter upvalues: so many of the topmost values are popped and belong to the function,
  ///   which finds them with ``pushUpvalue(_:)``.
  public func push(upvalues: Int = 0, function body: @escaping LuaBody) {
    let box = Unmanaged.passRetained(FunctionBox(body))
    milonga_pushfunction(
      state, box.toOpaque(), FunctionBox.invoke, FunctionBox.release, Int32(upvalues))
  }

  /// Pushes a value that belongs to the running function; the first is 1.
  @inlinable
  public func pushUpvalue(_ index: Int) {
    lua_pushvalue(state, milonga_upvalueindex(Int32(index) + 1))
  }

  /// Sets the field `name` of the table on top of the stack to a function that runs `body`.
  ///
  /// - Parameter upvalue: a string that belongs to the function, for ``pushUpvalue(_:)``.
  public func setFunction(
    _ name: StaticString, upvalue: StaticString? = nil, _ body: @escaping LuaBody
  ) {
    if let upvalue { push(upvalue) }
    push(upvalues: upvalue == nil ? 0 : 1, function: body)
    setField(name, of: -2)
  }
}
