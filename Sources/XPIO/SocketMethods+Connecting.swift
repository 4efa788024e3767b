import Glibc
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

extension XPIOLibrary {
  /// `bind`, `listen`, `connect` and `accept`.
  func addConnecting(_ call: LuaCall) {
    call.setFunction("bind") { [self] (call) throws(LuaFailure) in
      let socket = try sockets.check(call, at: 1)
      guard let address = AddressFormat.parse(try call.bytes(at: 2)) else {
        return call.pushFailure("xpio: mal-formed address argument")
      }
      return call.pushTrue { () throws(Errno) in
        try become(address.family, socket)
        try socket.pointee.socket.bind(address)
        socket.pointee.settle()
      }
    }
    call.setFunction("listen") { [self] (call) throws(LuaFailure) in
      let socket = try sockets.check(call, at: 1)
      let backlog = call.isNoneOrNil(at: 2) ? Int(SOMAXCONN) : try call.size(at: 2)
      return call.pushTrue { () throws(Errno) in
        try socket.pointee.socket.listen(backlog: Int32(clamping: backlog))
        socket.pointee.settle()
      }
    }
    call.setFunction("try_connect") { [self] (call) throws(LuaFailure) in
      try connect(call, blocks: false)
    }
    call.setFunction("connect") { [self] (call) throws(LuaFailure) in
      try connect(call, blocks: true)
    }
    call.setFunction("try_accept") { [self] (call) throws(LuaFailure) in
      try accept(call, blocks: false)
    }
    call.setFunction("accept") { [self] (call) throws(LuaFailure) in
      try accept(call, blocks: true)
    }
  }

  /// The family of a socket is known when it is first bound or connected.
  func become(
    _ family: Int32, _ socket: UnsafeMutablePointer<SocketObject>
  ) throws(Errno) {
    try socket.pointee.become(family) { handle in
      forget(&handle)
      handle = self.handle(handle.descriptor)
    }
  }

  private func connect(_ call: LuaCall, blocks: Bool) throws(LuaFailure) -> LuaOutcome {
    let socket = try sockets.check(call, at: 1)
    call.count = 2
    guard let address = AddressFormat.parse(try call.bytes(at: 2)) else {
      return call.pushFailure("xpio: mal-formed address")
    }
    do throws(Errno) {
      try become(address.family, socket)
    } catch {
      return call.pushFailure(error)
    }
    socket.pointee.settle()
    switch socket.pointee.socket.connect(address) {
    case .moved, .failed(.socketIsConnected): return call.pushTrue()
    case .failed(.resourceTemporarilyUnavailable):
      // A Unix server's queue is full. Nothing is under way that could become ready.
      call.pushNil()
      call.push(String(cString: strerror(EAGAIN)))
      return .results(2)
    case .wouldBlock, .failed(.alreadyInProcess):
      socket.pointee.handle.markUnready(.write, at: clock.tick())
      return blocks
        ? try suspend(call, socket.handle, .write, in: "connect") : call.pushRetry()
    case .failed(let error): return call.pushFailure(error)
    }
  }

  private func accept(_ call: LuaCall, blocks: Bool) throws(LuaFailure) -> LuaOutcome {
    let socket = try sockets.check(call, at: 1)
    if blocks, let outcome = giveWay(call, arguments: 1) { return outcome }
    call.count = 1
    do throws(Errno) {
      if let accepted = try socket.pointee.socket.accept() {
        push(accepted.descriptor, .stream, family: socket.pointee.family, call).pointee.settle()
        return .results(1)
      }
    } catch {
      return call.pushFailure(error)
    }
    socket.pointee.handle.markUnready(.read, at: clock.tick())
    return blocks ? try suspend(call, socket.handle, .read, in: "accept") : call.pushRetry()
  }
}
