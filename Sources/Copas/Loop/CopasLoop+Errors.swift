import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaScheduler

extension CopasLoop {
  /// Reports the error value on top of the coroutine's stack, and pops it.
  func reportError(of record: CopasTask, from coroutine: OpaquePointer) {
    guard main.reserve(1) else { return }
    lua_xmove(coroutine, main.state, 1)
    reportError(of: record)
  }

  /// Hands the error value on top of the main stack, which is popped, to the coroutine's error
  /// handler, or to the default one, or prints it. An error in the handler is printed, and has no
  /// other effect.
  func reportError(of record: CopasTask) {
    let error = main.count
    defer { main.count = error - 1 }
    guard main.reserve(8) else { return }

    if record.handler != 0 || !module.errorHandler.isEmpty {
      if record.handler != 0 {
        main.pushRetained(record.handler)
      } else {
        module.errorHandler.push(onto: main)
      }
      main.pushValue(at: error)
      pushCoroutineAndSocket(record)
      guard milonga_pcall(main.state, 3, 0, 0) != LUA_OK else { return }
      main.push("Failed executing error handler: " + main.describe(at: main.count))
    } else {
      pushCoroutineAndSocket(record)
      pushTraceback(main, message: error)
    }
    printTop()
  }

  private func pushCoroutineAndSocket(_ record: CopasTask) {
    main.pushRetained(record.reference)
    pushSocket(of: record)
  }

  /// Pushes the report of an error: `message (coroutine: name, socket: name)` and the traceback.
  /// The message is at `message`, coroutine and socket behind it.
  func pushTraceback(_ call: LuaCall, message: Int) {
    let text = call.isNoneOrNil(at: message) ? "" : call.describe(at: message)
    let coroutine = names.ofThread(call, at: message + 1)
    let socket = names.ofSocket(call, at: message + 2)
    let report =
      (text.isEmpty ? "" : text + " ") + "(coroutine: \(coroutine), socket: \(socket))"
    if let thread = lua_tothread(call.state, Int32(message + 1)) {
      luaL_traceback(call.state, thread, report, 0)
    } else {
      luaL_traceback(call.state, call.state, report, 1)
    }
  }

  /// Prints the text on top of the main stack with the program's own `print`.
  private func printTop() {
    milonga_pushglobaltable(main.state)
    main.pushField("print", of: -1)
    main.pushValue(at: -3)
    if milonga_pcall(main.state, 1, 0, 0) != LUA_OK { main.pop() }
  }
}
