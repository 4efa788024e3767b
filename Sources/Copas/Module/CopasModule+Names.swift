import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaLua

/// Where a connection comes from: its name, and that of its coroutine, are made of this when somebody
/// asks.
struct ConnectionOrigin {
  /// The number of the server's name, 0 for none.
  var server: UInt32 = 0
  /// The server's connections are counted from 1.
  var number: UInt32 = 0
}

/// The names of servers, each once, by number from 1.
struct ServerNames {
  private var names: [String] = []
  private var numbers: [String: UInt32] = [:]

  subscript(number: UInt32) -> String { names[Int(number) - 1] }

  mutating func number(of name: String) -> UInt32 {
    if let number = numbers[name] { return number }
    names.append(name)
    let number = UInt32(names.count)
    numbers[name] = number
    return number
  }
}

extension CopasLoop {
  func addNames(_ call: LuaCall) {
    call.setFunction("setsocketname") { [self] (call) throws(LuaFailure) in
      guard call.type(at: 1) == .string else {
        throw call.failure("expected arg #1 to be a string")
      }
      guard call.boolean(at: 2) else { throw call.failure("expected arg #2 to be a socket") }
      unwrap(call, at: 2)
      let name = try call.string(at: 1)
      setName(call, of: 2, name)
      if let socket = sockets.any.payload(call, at: 2),
        let task = servers[socket.pointee.descriptor], scheduler.exists(task),
        tasks[Int(task.index)].kind == .server
      {
        tasks[Int(task.index)].origin.server = serverNames.number(of: name)
      }
      return .results(0)
    }
    call.setFunction("getsocketname") { [self] (call) throws(LuaFailure) in
      guard call.boolean(at: 1) else { throw call.failure("expected arg #1 to be a socket") }
      unwrap(call, at: 1)
      call.push(socketName(call, at: 1))
      return .results(1)
    }
    call.setFunction("setthreadname") { [self] (call) throws(LuaFailure) in
      guard call.type(at: 1) == .string else {
        throw call.failure("expected arg #1 to be a string")
      }
      try pushThread(call, argument: 2)
      setName(call, of: call.count, try call.string(at: 1))
      return .results(0)
    }
    call.setFunction("getthreadname") { [self] (call) throws(LuaFailure) in
      try pushThread(call, argument: 1)
      call.push(threadName(call, at: call.count))
      return .results(1)
    }
  }

  /// Pushes the coroutine that is an argument, or the running one.
  private func pushThread(_ call: LuaCall, argument: Int) throws(LuaFailure) {
    if call.isNoneOrNil(at: argument) {
      lua_pushthread(call.state)
      return
    }
    guard call.type(at: argument) == .thread else {
      throw call.failure("expected arg #\(argument) to be a coroutine or nil")
    }
    call.pushValue(at: argument)
  }

  /// Names given by the program are in a table whose keys keep nothing alive.
  func setName(_ call: LuaCall, of index: Int, _ name: String) {
    let index = Int(lua_absindex(call.state, Int32(index)))
    pushNamesTable(call)
    call.pushValue(at: index)
    call.push(name)
    milonga_rawset(call.state, -3)
    call.pop()
  }

  private func givenName(_ call: LuaCall, of index: Int) -> String? {
    guard namesReference != 0 else { return nil }
    let index = Int(lua_absindex(call.state, Int32(index)))
    pushNamesTable(call)
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    defer { call.pop(2) }
    return call.stringIfString(at: -1)
  }

  private func pushNamesTable(_ call: LuaCall) {
    if namesReference == 0 { namesReference = retainWeakTable(call) }
    call.pushRetained(namesReference)
  }

  /// A new table, kept in the registry, whose keys are weak.
  func retainWeakTable(_ call: LuaCall) -> Int32 {
    call.pushTable()
    call.pushTable(fields: 1)
    call.push("k")
    call.setField("__mode", of: -2)
    call.setMetatable(of: -2)
    return call.retainTop()
  }

  /// The name of the socket at `index`, or of whatever else is there.
  func socketName(_ call: LuaCall, at index: Int) -> String {
    if let name = givenName(call, of: index) { return name }
    if let origin = sockets.any.payload(call, at: index)?.pointee.origin, origin.server != 0 {
      return "\(serverNames[origin.server]):client_\(origin.number)"
    }
    return describe(call, at: index)
  }

  /// The name of the coroutine at `index`, or of whatever else is there.
  func threadName(_ call: LuaCall, at index: Int) -> String {
    if let name = givenName(call, of: index) { return name }
    if let task = task(call, at: index) {
      let origin = tasks[Int(task.index)].origin
      if origin.server != 0 { return "\(serverNames[origin.server]):handler_\(origin.number)" }
    }
    return describe(call, at: index)
  }
}
