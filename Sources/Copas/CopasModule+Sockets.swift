import CLua
import Lua
import LuaSocket

extension CopasLoop {
  /// The functions that work on sockets. Each is a function of the module, for plain sockets, and a
  /// method of wrapped ones.
  func addTransfers(_ call: LuaCall) {
    let pending = LuaClass<PendingConnect>(call, name: "copas connect")
    let addOperations: (LuaCall) -> Void = { [self] call in
      call.setFunction("send", upvalue: "socket") { (call) throws(LuaFailure) in try self.send(call)
      }
      call.setFunction("receive", upvalue: "socket") { (call) throws(LuaFailure) in
        try self.receive(call)
      }
      call.setFunction("receivepartial", upvalue: "socket") { (call) throws(LuaFailure) in
        try self.receive(call, enough: .anything)
      }
      call.setFunction("connect") { (call) throws(LuaFailure) in try self.connect(call, pending) }
      call.setFunction("close") { (call) throws(LuaFailure) in try self.close(call) }
      call.setFunction("flush") { (_) throws(LuaFailure) in .results(0) }
      call.setFunction("settimeout") { (call) throws(LuaFailure) in try self.setTimeout(call) }
      call.setFunction("settimeouts") { (call) throws(LuaFailure) in try self.setTimeouts(call) }
    }
    addOperations(call)
    call.pushField("receivepartial", of: -1)
    call.setField("receivePartial", of: -2)

    call.pushField("connect", of: -1)
    connectReference = call.retainTop()

    wrapper = CopasWrapper(call, loop: self) { call in
      addOperations(call)
      // A wrapped socket with a receive timeout of 0 takes what is there.
      call.setFunction("receive", upvalue: "socket") { [self] (call) throws(LuaFailure) in
        try receive(call, enough: .timeout)
      }
    }
    sockets.wrapperMetatable = wrapper.metatable
  }

  private func close(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try checkSocket(call)
    sockets.close(&socket.pointee)
    call.push(1.0)
    return .results(1)
  }

  private func checkSocket(
    _ call: LuaCall
  ) throws(LuaFailure) -> UnsafeMutablePointer<SocketObject> {
    unwrap(call, at: 1)
    guard let socket = sockets.tcp.any.payload(call, at: 1) else {
      throw call.typeFailure(argument: 1, expected: sockets.tcp.any.name)
    }
    return socket
  }

  private func setTimeout(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try checkSocket(call)
    guard let seconds = seconds(call, at: 2) else {
      call.pushNil()
      call.push("timeout must be 'nil' or a number")
      return .results(2)
    }
    socket.pointee.copasTimeouts = .init(all: seconds ?? -1)
    call.push(true)
    return .results(1)
  }

  /// Negative is for ever, nil leaves the timeout as it is.
  private func setTimeouts(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try checkSocket(call)
    let phases: [(String, WritableKeyPath<SocketObject.CopasTimeouts, Double>)] = [
      ("connect", \.connect), ("send", \.send), ("read", \.receive),
    ]
    for (index, (name, timeout)) in phases.enumerated() {
      guard let seconds = seconds(call, at: index + 2) else {
        call.pushNil()
        call.push("\(name) timeout must be 'nil' or a number")
        return .results(2)
      }
      guard let seconds else { continue }
      socket.pointee.copasTimeouts[keyPath: timeout] = seconds < 0 ? .infinity : seconds
    }
    call.push(true)
    return .results(1)
  }

  /// A number, or nil for nil; nil as a whole for anything else.
  private func seconds(_ call: LuaCall, at index: Int) -> Double?? {
    if call.isNoneOrNil(at: index) { return .some(nil) }
    guard call.type(at: index) == .number else { return nil }
    return .some(call.numberIfNumber(at: index))
  }
}
