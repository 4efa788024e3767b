import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaIO
import MilongaLua

// What objects of LuaSec need besides a descriptor that is waited for.
extension CopasLoop {
  /// Whether the object is a connection of LuaSec.
  func isLuaSec(_ call: LuaCall, at index: Int) -> Bool {
    call.type(at: index) == .userdata && sockets.any.payload(call, at: index) == nil
      && describe(call, at: index).hasPrefix("SSL")
  }

  /// Remembers the error of an operation that has failed, which is at `error`, if the object is LuaSec's.
  ///
  /// OpenSSL does not go on after such an error, and LuaSec, called again, may loop in C for ever. An end
  /// that was announced (`closed`) is none: the other direction still works.
  func noteFailure(_ call: LuaCall, of socket: Int, error: Int) {
    guard call.type(at: error) == .string,
      !call.bytesIfString(at: error)!.elementsEqual("closed".utf8), isLuaSec(call, at: socket)
    else { return }
    let (socket, error) = (
      lua_absindex(call.state, Int32(socket)), lua_absindex(call.state, Int32(error))
    )
    if secureFailuresReference == 0 { secureFailuresReference = retainWeakTable(call) }
    call.pushRetained(secureFailuresReference)
    lua_pushvalue(call.state, socket)
    lua_pushvalue(call.state, error)
    milonga_rawset(call.state, -3)
    call.pop()
  }

  /// Pushes the error with which an operation of the object has failed before; false, with nothing
  /// pushed, when there is none.
  @inline(__always)
  func pushEarlierFailure(_ call: LuaCall, of socket: Int) -> Bool {
    secureFailuresReference != 0 && pushNotedFailure(call, of: socket)
  }

  private func pushNotedFailure(_ call: LuaCall, of socket: Int) -> Bool {
    let socket = lua_absindex(call.state, Int32(socket))
    call.pushRetained(secureFailuresReference)
    lua_pushvalue(call.state, socket)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
    if call.type(at: -1) == .string { return true }
    call.pop()
    return false
  }

  /// LuaSec's `close` says goodbye with a write that blocks. One who does not read must not hold everybody
  /// up: the write gives up at once.
  func limitGoodbye(_ call: LuaCall, at index: Int) {
    guard isLuaSec(call, at: index), let descriptor = descriptorOfForeign(call, at: index) else {
      return
    }
    Socket(descriptor: descriptor).limitBlockingSends()
  }
}
