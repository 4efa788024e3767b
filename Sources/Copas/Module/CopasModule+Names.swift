import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaLua
import MilongaScheduler

/// Where a connection comes from. Its name, and that of its coroutine, are made of this when they
/// are asked for.
struct ConnectionOrigin: BitwiseCopyable {
  /// The number of the server's name, 0 for none.
  var server: UInt32 = 0
  /// The server's connections are counted from 1.
  var number: UInt32 = 0
}

/// The names of sockets and threads, for messages about errors.
final class CopasNames {
  unowned(unsafe) var loop: CopasLoop!
  /// Names that the program gave to sockets and threads: a table with weak keys, empty for none
  /// yet.
  private var given = LuaStored()
  private var servers = ServerNames()

  /// The names of servers, each once, by number from 1.
  private struct ServerNames {
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

  /// The number of a server's name, for ``ConnectionOrigin``.
  func number(ofServer name: String) -> UInt32 { servers.number(of: name) }

  /// The name of a server's connection.
  func ofConnection(_ origin: ConnectionOrigin) -> String {
    "\(servers[origin.server]):client_\(origin.number)"
  }

  /// Names the socket or the thread at `index`.
  func set(_ call: LuaCall, of index: Int, _ name: String) {
    let index = Int(lua_absindex(call.state, Int32(index)))
    if given.isEmpty { given = call.makeWeakTable() }
    given.push(onto: call)
    call.pushValue(at: index)
    call.push(name)
    milonga_rawset(call.state, -3)
    call.pop()
  }

  private func given(_ call: LuaCall, of index: Int) -> String? {
    guard !given.isEmpty else { return nil }
    let index = Int(lua_absindex(call.state, Int32(index)))
    given.push(onto: call)
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    defer { call.pop(2) }
    return call.stringIfString(at: -1)
  }

  /// The name of the socket at `index`, or of whatever else is there.
  func ofSocket(_ call: LuaCall, at index: Int) -> String {
    if let name = given(call, of: index) { return name }
    if let origin = loop.sockets.any.payload(call, at: index)?.pointee.origin, origin.server != 0 {
      return ofConnection(origin)
    }
    return call.describe(at: index)
  }

  /// The name of the coroutine at `index`, or of whatever else is there.
  func ofThread(_ call: LuaCall, at index: Int) -> String {
    if let name = given(call, of: index) { return name }
    if let task = loop.task(call, at: index) {
      let origin = loop.tasks[task].origin
      if origin.server != 0 { return "\(servers[origin.server]):handler_\(origin.number)" }
    }
    return call.describe(at: index)
  }

  /// The name of a task's coroutine.
  func ofThread(_ task: TaskID) -> String {
    guard loop.pushCoroutine(task) else { return "?" }
    defer { loop.main.pop() }
    return ofThread(loop.main, at: loop.main.count)
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
      names.set(call, of: 2, name)
      if let socket = sockets.any.payload(call, at: 2) {
        servers.rename(socket.pointee.descriptor, name)
      }
      return .results(0)
    }
    call.setFunction("getsocketname") { [self] (call) throws(LuaFailure) in
      guard call.boolean(at: 1) else { throw call.failure("expected arg #1 to be a socket") }
      unwrap(call, at: 1)
      call.push(names.ofSocket(call, at: 1))
      return .results(1)
    }
    call.setFunction("setthreadname") { [self] (call) throws(LuaFailure) in
      guard call.type(at: 1) == .string else {
        throw call.failure("expected arg #1 to be a string")
      }
      try pushThread(call, argument: 2)
      names.set(call, of: call.count, try call.string(at: 1))
      return .results(0)
    }
    call.setFunction("getthreadname") { [self] (call) throws(LuaFailure) in
      try pushThread(call, argument: 1)
      call.push(names.ofThread(call, at: call.count))
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

  /// Pushes the coroutine of a task onto the main stack; false without one, or without room.
  func pushCoroutine(_ task: TaskID) -> Bool {
    guard let coroutine = tasks[task].coroutine, main.reserve(8), lua_checkstack(coroutine, 1) != 0
    else { return false }
    lua_pushthread(coroutine)
    lua_xmove(coroutine, main.state, 1)
    return true
  }
}

extension LuaCall {
  /// The value as `tostring` gives it.
  func describe(at index: Int) -> String {
    _ = milonga_tostring(state, Int32(index))
    defer { pop() }
    return stringIfString(at: -1) ?? ""
  }
}
