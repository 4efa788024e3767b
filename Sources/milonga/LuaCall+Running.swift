import CMilongaLua
import CMilongaShims
import MilongaLua

/// What the runner and the prompt need of Lua. Functions that give a status leave the error value
/// on top of the stack when it is not `LUA_OK`.
extension LuaCall {
  func push(_ string: CString) { lua_pushstring(state, string) }

  /// Loads a file, or stdin for nil. A first line that begins with `#` is skipped.
  func load(file path: CString?) -> Int32 { milonga_loadfile(state, path) }

  /// Loads source text, or a precompiled chunk. `name` is given as to Lua's `load`.
  func load(_ source: UnsafeRawBufferPointer, name: CString) -> Int32 {
    milonga_load(
      state, source.baseAddress?.assumingMemoryBound(to: CChar.self), source.count, name, "bt")
  }

  /// Calls the function that lies below its arguments. Ctrl-C interrupts it; an error's message has
  /// its traceback.
  func run(arguments: Int = 0, results: Int = 0) -> Int32 {
    let function = count - arguments
    pushTracebackHandler()
    insert(at: function)
    let status = Interrupt.interruptible(state) {
      milonga_pcall(state, Int32(arguments), Int32(results), Int32(function))
    }
    remove(at: function)
    return status
  }

  /// Pushes a global variable, metamethods included.
  func pushGlobal(_ name: StaticString) throws(LuaFailure) {
    milonga_pushglobaltable(state)
    push(name)
    let status = milonga_gettable(state, -2)
    remove(at: -2)
    guard status == LUA_OK else { throw .raised }
  }

  /// Pops a value into a global variable, metamethods included.
  func setGlobal(_ name: UnsafeRawBufferPointer) throws(LuaFailure) {
    milonga_pushglobaltable(state)
    insert(at: -2)
    push(name)
    insert(at: -2)
    guard milonga_settable(state, -3) == LUA_OK else { throw .raised }
    pop()
  }
}

extension LuaCall {
  /// Pops an error value and writes it to stderr. Messages that had no traceback handler may be
  /// any value.
  func writeError(end: String = "\n") {
    if let message = bytesIfString(at: -1) {
      StandardStream.error.write(message)
    } else {
      StandardStream.error.write("(error object is a \(typeName(at: -1)) value)")
    }
    StandardStream.error.write(end)
    pop()
  }
}
