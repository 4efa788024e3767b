import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

extension SocketLibrary {
  /// Sets the methods of Unix stream objects in the table on top of the stack.
  func addUnixStreamMethods(_ call: LuaCall, _ sockets: StreamClasses) {
    addDescriptorMethods(call, of: sockets.any)
    addStreamMethods(call, of: sockets.client)
    addConnectionMethods(call, of: sockets)
    let masters = SocketGroup(name: sockets.master.name, [sockets.master])
    addUnixNames(
      call, of: sockets.any, binding: masters, connecting: masters, becoming: sockets.client)
    addSetOption(call, of: sockets.any, .unixStream)
  }

  /// Sets the methods of Unix datagram objects in the table on top of the stack.
  func addUnixDatagramMethods(_ call: LuaCall, _ sockets: DatagramClasses) {
    addDescriptorMethods(call, of: sockets.any)
    addGetTimeout(call, of: sockets.any)
    addDatagramMethods(call, of: sockets)
    addUnixNames(
      call, of: sockets.any,
      binding: SocketGroup(name: sockets.unconnected.name, [sockets.unconnected]),
      connecting: sockets.any, becoming: sockets.connected)
    call.setFunction("sendto") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets.unconnected, call)
      let bytes = try call.bytes(at: 2)
      guard let address = SocketAddress(unixPath: try call.bytes(at: 3)) else {
        return pathTooLong(call)
      }
      return try sendDatagram(call, socket, bytes) { $0.send($1, to: address) }
    }
    call.setFunction("receivefrom") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets.unconnected, call)
      var sender = SocketAddress.none
      let failure = try receiveDatagram(call, socket) { $0.receive(into: $1, from: &sender) }
      if let failure { return failure }
      sender.withUnixPath { call.push($0) }
      return .results(2)
    }
    addSetOption(call, of: sockets.any, .unixDatagram)
  }

  /// `bind`, `connect` and `getsockname`, with their other names.
  private func addUnixNames(
    _ call: LuaCall, of sockets: SocketGroup, binding: SocketGroup, connecting: SocketGroup,
    becoming connected: LuaClass<SocketObject>
  ) {
    for name: StaticString in ["bind", "setsockname"] {
      call.setFunction(name) { [self] (call) throws(LuaFailure) in
        try bindUnix(call, check(binding, call))
      }
    }
    for name: StaticString in ["connect", "setpeername"] {
      call.setFunction(name) { [self] (call) throws(LuaFailure) in
        try connectUnix(call, check(connecting, call), becoming: connected)
      }
    }
    call.setFunction("getsockname") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets, call)
      do throws(Errno) {
        try socket.pointee.socket.localAddress().withUnixPath { call.push($0) }
        return .results(1)
      } catch {
        return call.pushFailure(.system(error))
      }
    }
  }

  /// As in LuaSocket, a failure ends the object's socket.
  private func bindUnix(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>
  ) throws(LuaFailure) -> LuaOutcome {
    guard let address = SocketAddress(unixPath: try call.bytes(at: 2)) else {
      return pathTooLong(call)
    }
    do throws(Errno) {
      try socket.pointee.socket.bind(address)
    } catch {
      close(&socket.pointee)
      return call.pushFailure(.system(error))
    }
    call.push(1.0)
    return .results(1)
  }

  private func connectUnix(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>,
    becoming connected: LuaClass<SocketObject>
  ) throws(LuaFailure) -> LuaOutcome {
    guard let address = SocketAddress(unixPath: try call.bytes(at: 2)) else {
      return pathTooLong(call)
    }
    if let failure = try connect(call, socket, to: address) {
      close(&socket.pointee)
      return call.pushFailure(failure)
    }
    connected.adopt(call, at: 1)
    call.push(1.0)
    return .results(1)
  }

  /// Connects at once or not at all: Unix sockets do not wait for the peer. Only a server whose
  /// queue is full makes them try again until the timeout.
  private func connect(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>, to address: SocketAddress
  ) throws(LuaFailure) -> SocketFailure? {
    guard socket.pointee.descriptor >= 0 else { return .closed }
    var start: Int64?
    while true {
      switch socket.pointee.socket.connect(address) {
      case .moved: return nil
      case .wouldBlock: return .system(.nowInProgress)
      case .failed(let code):
        guard code == .resourceTemporarilyUnavailable else { return .system(code) }
        if let failure = try pause(call, socket, &start) { return failure }
      }
    }
  }

  /// Lets a little time pass; a failure when the timeouts do not allow it.
  private func pause(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>, _ start: inout Int64?
  ) throws(LuaFailure) -> SocketFailure? {
    guard let deadline = socket.pointee.timeouts.nextDeadline(&start),
      MonotonicTime.now() < deadline
    else { return .timeout }
    WallClock.sleep(0.002)
    try call.checkInterruption()
    return nil
  }

  private func pathTooLong(_ call: LuaCall) -> LuaOutcome {
    call.pushNil()
    call.push("path too long")
    return .results(2)
  }
}
