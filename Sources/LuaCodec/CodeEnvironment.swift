import CMilongaLua
import MilongaLua

/// The globals of code that arrives.
public final class CodeEnvironment {
  private let table: LuaStored

  package init(_ table: consuming LuaStored) { self.table = table }

  /// Pushes the table.
  package func push(onto call: LuaCall) { table.push(onto: call) }

  /// Gives these globals to the function on top of the stack, which was just loaded.
  package func set(_ call: LuaCall) {
    table.push(onto: call)
    // A function that uses no globals has no upvalue for them.
    if lua_setupvalue(call.state, -2, 1) == nil { call.pop() }
  }
}
