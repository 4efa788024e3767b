import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaLua

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
      call.setFunction("receivefrom") { (call) throws(LuaFailure) in try self.receiveFrom(call) }
      call.setFunction("close") { (call) throws(LuaFailure) in try self.close(call) }
      call.setFunction("flush") { (_) throws(LuaFailure) in .results(0) }
      call.setFunction("settimeout") { (call) throws(LuaFailure) in try self.setTimeout(call) }
      call.setFunction("settimeouts") { (call) throws(LuaFailure) in try self.setTimeouts(call) }
    }
    addOperations(call)
    call.pushField("receivepartial", of: -1)
    call.setField("receivePartial", of: -2)
    call.setFunction("sendto", CopasWrapper.forward("sendto"))
    call.setFunction("connect") { (call) throws(LuaFailure) in try self.connect(call, pending) }
    call.setFunction("dohandshake") { [self] (call) throws(LuaFailure) in
      try callTLS(call, "dohandshake")
    }
    call.setFunction("useSocketTimeoutErrors") { [self] (call) throws(LuaFailure) in
      try requireInside(call, "useSocketTimeoutErrors")
      tasks[current!].tellsSocketTimeouts = call.boolean(at: 1)
      return .results(0)
    }

    module.wrapper = CopasWrapper(call) { call in
      addOperations(call)
      // A wrapped socket with a receive timeout of 0 takes what is there.
      call.setFunction("receive", upvalue: "socket") { [self] (call) throws(LuaFailure) in
        try receive(call, enough: .timeout)
      }
      call.setFunction("connect") { [self] (call) throws(LuaFailure) in
        if call.phase == .entered ? hasTLSParameters(call) : call.transferStep == .tls {
          return try callTLS(call, "connect")
        }
        return try connect(call, pending)
      }
      addTLSMethods(call)
    }
    sockets.wrapperMetatable = module.wrapper.metatable
    module.datagramWrapper = CopasWrapper(call) { call in
      addOperations(call)
      call.setFunction("receive", upvalue: "socket") { [self] (call) throws(LuaFailure) in
        if call.phase == .entered { setDefaultSize(call) }
        return try receive(call)
      }
      for name: StaticString in ["send", "sendto", "setpeername", "setsockname", "connect"] {
        call.setFunction(name, CopasWrapper.forward(name))
      }
    }
  }

  /// The number of bytes to receive, at 2, is LuaSocket's datagram size unless it is given.
  private func setDefaultSize(_ call: LuaCall) {
    if call.count < 2 { call.count = 2 }
    guard call.isNoneOrNil(at: 2) else { return }
    call.push(SocketLibrary.defaultDatagramSize)
    call.replace(at: 2)
  }

  private func receiveFrom(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      unwrap(call, at: 1)
      setDefaultSize(call)
    }
    return try transfer(call, .receiveFrom)
  }

  /// Closes the socket. Coroutines that wait for it go on, with an error.
  private func close(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else { return .results(call.count) }
    unwrap(call, at: 1)
    if let socket = sockets.any.payload(call, at: 1) {
      sockets.close(&socket.pointee)
      call.push(1.0)
      return .results(1)
    }
    limitGoodbye(call, at: 1)
    if let descriptor = call.descriptorOfForeign(at: 1), descriptor >= 0 { forget(descriptor) }
    call.push("close")
    guard milonga_gettable(call.state, 1) == LUA_OK else { throw .raised }
    call.insert(at: 1)
    return .call(arguments: call.count - 1)
  }

  private func setTimeout(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try checkSocket(call)
    guard let seconds = seconds(call, at: 2) else {
      call.pushNil()
      call.push("timeout must be 'nil' or a number")
      return .results(2)
    }
    foreignSockets.setTimeouts(call, at: 1, .init(all: seconds ?? -1))
    call.push(true)
    return .results(1)
  }

  /// Puts the socket in the place of its wrapper, at 1.
  func checkSocket(_ call: LuaCall) throws(LuaFailure) {
    unwrap(call, at: 1)
    let type = call.type(at: 1)
    guard type == .userdata || type == .table else {
      throw call.typeFailure(argument: 1, expected: "socket")
    }
  }

  /// Negative is for ever, nil leaves the timeout as it is.
  private func setTimeouts(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try checkSocket(call)
    var timeouts = foreignSockets.timeouts(call, at: 1)
    defer { foreignSockets.setTimeouts(call, at: 1, timeouts) }
    let phases: [(String, WritableKeyPath<CopasTimeouts, Double>)] = [
      ("connect", \.connect), ("send", \.send), ("read", \.receive),
    ]
    for (index, (name, timeout)) in phases.enumerated() {
      guard let seconds = seconds(call, at: index + 2) else {
        call.pushNil()
        call.push("\(name) timeout must be 'nil' or a number")
        return .results(2)
      }
      guard let seconds else { continue }
      timeouts[keyPath: timeout] = seconds < 0 ? .infinity : seconds
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
