import CMilongaLua
import CMilongaShims
import LuaFiles
import LuaSocket
import MilongaLua

// TLS is LuaSec's. What it needs from Copas besides a socket that waits is written in Lua, and
// loaded when it is first asked for.
extension CopasLoop {
  /// The methods of wrapped sockets that concern TLS.
  func addTLSMethods(_ call: LuaCall) {
    for name: StaticString in ["sni", "getalpn", "getsniname"] {
      call.setFunction(name) { [self] (call) throws(LuaFailure) in try callTLS(call, name) }
    }
    call.setFunction("dohandshake") { [self] (call) throws(LuaFailure) in
      try callTLS(call, "shake")
    }
    // What sockets without TLS find in the place of parameters.
    call.pushTable(fields: 2)
    for name: StaticString in ["wrap", "sni"] {
      call.push(false)
      call.setField(name, of: -2)
    }
    call.setField("ssl_params", of: -2)
  }

  /// Whether the wrapped socket at 1 has parameters of its own.
  func hasTLSParameters(_ call: LuaCall) -> Bool {
    guard call.type(at: 1) == .table else { return false }
    call.pushField("ssl_params", of: 1)
    defer { call.pop() }
    return call.type(at: -1) == .table
  }

  /// Ends the running function with a call of the function `name` of `copas/tls.lua`, with the same
  /// arguments and results.
  func callTLS(_ call: LuaCall, _ name: StaticString) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else { return .results(call.count) }
    try pushTLS(call)
    call.pushField(name, of: -1)
    call.insert(at: 1)
    call.pop()
    return .call(arguments: call.count - 1, state: TransferStep.tls.packed)
  }

  private func pushTLS(_ call: LuaCall) throws(LuaFailure) {
    if module.tls.isEmpty {
      try LuaFile("copas.tls").push(onto: call)
      module.table.push(onto: call)
      call.pushTable(fields: 2)
      call.setFunction("handshake") { [self] (call) throws(LuaFailure) in
        try transfer(call, .handshake)
      }
      call.setFunction("replace") { [self] (call) throws(LuaFailure) in
        replace(call)
        return .results(0)
      }
      guard milonga_pcall(call.state, 2, 1, 0) == LUA_OK else { throw .raised }
      module.tls = LuaStored(popping: call)
    }
    module.tls.push(onto: call)
  }

  /// The socket at 2 takes the place of that at 1: its timeouts, its name, and it is closed instead
  /// when the running coroutine ends.
  private func replace(_ call: LuaCall) {
    limitGoodbye(call, at: 2)
    foreignSockets.setTimeouts(call, at: 2, foreignSockets.timeouts(call, at: 1))
    let name = names.ofSocket(call, at: 1)
    if name != call.describe(at: 1) { names.set(call, of: 2, name) }
    guard let current, tasks[current].connection != 0 else { return }
    let reference = tasks[current].connection
    call.pushRetained(reference)
    defer { call.pop() }
    guard lua_rawequal(call.state, -1, 1) != 0 else { return }
    call.pushValue(at: 2)
    call.replaceRetained(reference)
  }

  /// Whether the coroutine whose turn it is wants to know what a socket waited for when it timed
  /// out.
  var tellsSocketTimeouts: Bool {
    current.map { tasks[$0].tellsSocketTimeouts } ?? false
  }
}
