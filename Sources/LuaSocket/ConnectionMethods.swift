import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

extension SocketLibrary {
  /// Sets `accept`, `listen` and `shutdown` in the table on top of the stack.
  func addConnectionMethods(_ call: LuaCall, of sockets: StreamClasses) {
    call.setFunction("accept") { [self] (call) throws(LuaFailure) in try accept(call, sockets) }
    call.setFunction("listen") { [self] (call) throws(LuaFailure) in try listen(call, sockets) }
    call.setFunction("shutdown") { [self] (call) throws(LuaFailure) in
      try shutdown(call, sockets.client)
    }
  }

  private func accept(
    _ call: LuaCall, _ sockets: StreamClasses
  ) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(sockets.server, call)
    guard socket.pointee.descriptor >= 0 else { return call.pushFailure(.closed) }
    var start: Int64?
    while true {
      do throws(Errno) {
        if let accepted = try socket.pointee.socket.accept() {
          sockets.client.push(
            SocketObject(descriptor: accepted.descriptor, family: socket.pointee.family),
            onto: call)
          return .results(1)
        }
      } catch {
        return call.pushFailure(.system(error))
      }
      if let failure = try wait(call, socket, .readable, &start) {
        return call.pushFailure(failure)
      }
    }
  }

  private func listen(
    _ call: LuaCall, _ sockets: StreamClasses
  ) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(sockets.master, call)
    let backlog = Int32(clamping: try call.number(at: 2, default: 32).clampedToInt)
    do throws(Errno) {
      try socket.pointee.socket.listen(backlog: backlog)
    } catch {
      return call.pushFailure(.system(error))
    }
    sockets.server.adopt(call, at: 1)
    call.push(1.0)
    return .results(1)
  }

  private func shutdown(
    _ call: LuaCall, _ clients: LuaClass<SocketObject>
  ) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(clients, call)
    let direction = try call.option(
      at: 2, default: Socket.Direction.both, ["receive": .receive, "send": .send, "both": .both])
    try? socket.pointee.socket.shutdown(direction)
    call.push(1.0)
    return .results(1)
  }
}
