import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaIO
import MilongaLua

/// What is known of sockets of other libraries, such as LuaSec's. It lies in tables with weak keys;
/// what is known of our own sockets lies in their objects.
final class ForeignSockets {
  private let sockets: SocketLibrary
  private let timeouts: LuaClass<CopasTimeouts>
  /// The timeouts of such sockets; empty for none yet.
  private var timeoutTable = LuaStored()
  /// Why objects of LuaSec do not work any more; empty for none yet.
  private var failureTable = LuaStored()

  init(_ call: LuaCall, _ sockets: SocketLibrary) {
    self.sockets = sockets
    timeouts = LuaClass(call, name: "copas timeouts")
  }

  // MARK: Timeouts

  /// The timeouts of the socket at `index`, whatever it is.
  func timeouts(_ call: LuaCall, at index: Int) -> CopasTimeouts {
    if let socket = sockets.any.payload(call, at: index) { return socket.pointee.copasTimeouts }
    guard !timeoutTable.isEmpty else { return CopasTimeouts() }
    let index = Int(lua_absindex(call.state, Int32(index)))
    timeoutTable.push(onto: call)
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    defer { call.pop(2) }
    return timeouts.payload(call, at: -1)?.pointee ?? CopasTimeouts()
  }

  func setTimeouts(_ call: LuaCall, at index: Int, _ timeouts: CopasTimeouts) {
    if let socket = sockets.any.payload(call, at: index) {
      socket.pointee.copasTimeouts = timeouts
      return
    }
    if timeoutTable.isEmpty { timeoutTable = call.makeWeakTable() }
    let index = Int(lua_absindex(call.state, Int32(index)))
    timeoutTable.push(onto: call)
    call.pushValue(at: index)
    self.timeouts.push(timeouts, onto: call)
    milonga_rawset(call.state, -3)
    call.pop()
  }

  // MARK: LuaSec

  /// Whether the object is a connection of LuaSec.
  func isLuaSec(_ call: LuaCall, at index: Int) -> Bool {
    call.type(at: index) == .userdata && sockets.any.payload(call, at: index) == nil
      && call.describe(at: index).hasPrefix("SSL")
  }

  /// Remembers the error of an operation that has failed, which is at `error`, if the object is
  /// LuaSec's.
  ///
  /// OpenSSL does not go on after such an error, and LuaSec, called again, may loop in C for ever.
  /// `closed` is not such an error: the peer has announced the end, and the other direction still
  /// works.
  func noteFailure(_ call: LuaCall, of socket: Int, error: Int) {
    guard call.type(at: error) == .string,
      !call.bytesIfString(at: error)!.elementsEqual("closed".utf8), isLuaSec(call, at: socket)
    else { return }
    let (socket, error) = (
      lua_absindex(call.state, Int32(socket)), lua_absindex(call.state, Int32(error))
    )
    if failureTable.isEmpty { failureTable = call.makeWeakTable() }
    failureTable.push(onto: call)
    lua_pushvalue(call.state, socket)
    lua_pushvalue(call.state, error)
    milonga_rawset(call.state, -3)
    call.pop()
  }

  /// Pushes the error with which an operation of the object has failed before; false, with nothing
  /// pushed, when there is none.
  func pushEarlierFailure(_ call: LuaCall, of socket: Int) -> Bool {
    guard !failureTable.isEmpty else { return false }
    let socket = lua_absindex(call.state, Int32(socket))
    failureTable.push(onto: call)
    lua_pushvalue(call.state, socket)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
    if call.type(at: -1) == .string { return true }
    call.pop()
    return false
  }
}

extension CopasLoop {
  /// LuaSec's `close` says goodbye with a write that blocks. A peer that does not read must not
  /// hold up the program: the write gives up at once.
  func limitGoodbye(_ call: LuaCall, at index: Int) {
    guard foreignSockets.isLuaSec(call, at: index),
      let descriptor = call.descriptorOfForeign(at: index)
    else { return }
    Socket(descriptor: descriptor).limitBlockingSends()
  }
}

extension LuaCall {
  /// What `getfd` of the object at `index` says; nil when it has no such method, or it fails.
  func descriptorOfForeign(at index: Int) -> Int32? {
    let top = count
    defer { count = top }
    let index = Int(lua_absindex(state, Int32(index)))
    push("getfd")
    guard milonga_gettable(state, Int32(index)) == LUA_OK, type(at: -1) == .function else {
      return nil
    }
    pushValue(at: index)
    guard milonga_pcall(state, 1, 1, 0) == LUA_OK else { return nil }
    return numberIfNumber(at: -1).map { Int32(clamping: $0.clampedToInt) }
  }
}
